// SocketAddress: where to listen or connect, as users write it: "HOST:PORT", "[IPV6]:PORT" or
// "unix:PATH". Shared by the daemon's --listen and the client's TARGET.
//
// A value type, safe everywhere.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/sys/descriptor.h"

namespace forkecho::sys {

class SocketAddress {
 public:
  SocketAddress() = default;
  SocketAddress(const sockaddr* address, socklen_t length);
  static SocketAddress of_unix_path(
      const std::string& path);               // throws std::invalid_argument: too long
  static SocketAddress local(int socket_fd);  // getsockname
  static SocketAddress peer(int socket_fd);   // getpeername

  int family() const { return storage_.ss_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const { return length_; }
  /// Of IPv4 and IPv6; 0 for unix.
  int port() const;
  /// The path of a unix address; empty for the others and for an unnamed one.
  std::string path() const;
  /// The same form that parse reads: "127.0.0.1:9001", "[::1]:9001", "unix:/run/x.sock"; an unnamed
  /// unix peer is "unix:".
  std::string to_string() const;

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

/// Where a name stands for several addresses, all of them, in the resolver's order.
struct ResolvedAddresses {
  std::vector<SocketAddress> addresses;  // empty: see error
  std::string error;                     // one line for the user, without a final full stop
  bool malformed = false;                // the text itself is wrong, as against a name not found
};

/// Parses and resolves `text`. An empty host or "*" is the IPv4 wildcard. Never throws. Blocks for
/// as long as the resolver does when the host is a name.
ResolvedAddresses resolve(std::string_view text);
/// What is wrong with the text itself, whatever a resolver would say; empty when nothing is. Asks
/// nobody and does not block.
std::string find_malformation(std::string_view text);

}  // namespace forkecho::sys
