// Addresses of clients that need not exist.
#pragma once

#include <cstring>
#include <string>

#include "server/scoreboard.h"
#include "tests/support/sockets.h"

namespace forkecho::server {

/// `address`: "10.0.0.7" or "2001:db8::1".
inline PeerAddress peer(const std::string& address, int port = 1000) {
  const bool is_v6 = address.find(':') != std::string::npos;
  const auto resolved =
      tests::address_of((is_v6 ? "[" + address + "]" : address) + ":" + std::to_string(port));
  sockaddr_storage storage{};
  std::memcpy(&storage, resolved.get(), resolved.length());
  return PeerAddress::of(storage);
}

}  // namespace forkecho::server
