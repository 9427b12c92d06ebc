// SourceAddresses: which local addresses a worker's connections come from. A connection to loopback
// uses up a port of its source for as long as TIME_WAIT lasts; spread over 127.0.0.0/8 they do not
// run out. Elsewhere the kernel chooses, from the one address that leads there.
#pragma once

#include <cstdint>
#include <vector>

#include "client/load_plan.h"
#include "common/sys/socket_address.h"

namespace forkecho::client {

class SourceAddresses {
 public:
  /// None: the kernel chooses.
  SourceAddresses() = default;
  /// For worker number `worker` of a run of `workload` against `target`: addresses of its own
  /// within 127.0.0.0/8 where crr goes to IPv4 loopback, else none.
  SourceAddresses(Workload workload, const sys::SocketAddress& target, unsigned worker);

  bool empty() const { return addresses_.empty(); }
  const std::vector<sys::SocketAddress>& all() const { return addresses_; }
  /// Binds `socket_fd` to the next one, its port to be chosen by connect (IP_BIND_ADDRESS_NO_PORT:
  /// one port may then serve towards several targets). False with errno when the system refuses.
  bool bind_next(int socket_fd);

 private:
  std::vector<sys::SocketAddress> addresses_;
  std::size_t next_ = 0;
};

}  // namespace forkecho::client
