// Addresses as users write them (names are not looked up: numeric_hosts_only.cpp).
#include "common/sys/socket_address.h"

#include "tests/fuzz/target.h"

namespace forkecho::fuzz {

void fuzz(std::string_view input) {
  const sys::ResolvedAddresses resolved = sys::resolve(input);
  require(resolved.addresses.empty() != resolved.error.empty(), "there is an address, or an error");
  require(resolved.error.find('\n') == std::string::npos, "an error is one line");
  require(!resolved.malformed || resolved.addresses.empty(), "malformed text has no address");
  for (const sys::SocketAddress& address : resolved.addresses) {
    const auto again = sys::resolve(address.to_string());
    require(again.addresses.size() == 1, "an address is written so that it is read as one");
    require(again.addresses.front().to_string() == address.to_string(), "and as the same");
    require(again.addresses.front().port() == address.port(), "with its port");
  }
}

}  // namespace forkecho::fuzz
