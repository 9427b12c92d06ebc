// Addresses as users write them. Names are not looked up here: no resolver is asked.
#include "common/sys/socket_address.h"

#include <dlfcn.h>
#include <netdb.h>

#include "tests/fuzz/target.h"

/// In place of glibc's.
extern "C" int getaddrinfo(const char* host, const char* port, const addrinfo* hints,
                           addrinfo** found) {
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto glibc = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  addrinfo numbers_only = *hints;
  numbers_only.ai_flags |= AI_NUMERICHOST;
  return glibc(host, port, &numbers_only, found);
}

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
