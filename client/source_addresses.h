// SourceAddresses: which local addresses a worker's connections come from. A connection to loopback
// uses up a port of its source for as long as TIME_WAIT lasts; spread over 127.0.0.0/8 they do not
// run out. Elsewhere the kernel chooses, from the one address that leads there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/load_plan.h"
#include "common/sys/socket_address.h"

namespace forkecho::client {

class SourceAddresses {
 public:
  /// None: the kernel chooses.
  SourceAddresses() = default;
  /// For worker number `worker` of a run against `target`: addresses of its own within 127.0.0.0/8
  /// where connections to IPv4 loopback are made again and again (see requests_on_each), else none.
  SourceAddresses(const LoadPlan& plan, const sys::SocketAddress& target, unsigned worker);
  /// Those of `given` that fall to `worker` of `workers`: every worker's share differs where there
  /// are enough, and is never empty. `given` is not.
  SourceAddresses(const std::vector<sys::SocketAddress>& given, unsigned workers, unsigned worker);

  bool empty() const { return addresses_.empty(); }
  const std::vector<sys::SocketAddress>& all() const { return addresses_; }
  /// Binds `socket_fd` to the next one, its port to be chosen by connect (IP_BIND_ADDRESS_NO_PORT:
  /// one port may then serve towards several targets). False with errno when the system refuses.
  bool bind_next(int socket_fd);

 private:
  std::vector<sys::SocketAddress> addresses_;
  std::size_t next_ = 0;
};

/// What the text of --source came to: addresses to connect from, or why there are none.
struct GivenSources {
  std::vector<sys::SocketAddress> addresses{};
  std::string error{};  // one line for the user
};

/// The addresses of this machine within `text`, ADDRESS or ADDRESS/BITS, IPv4 or IPv6, at most
/// `most` of them, found by binding to each (of a wide range, to the first 65,536).
GivenSources find_sources(const std::string& text, std::size_t most);

}  // namespace forkecho::client
