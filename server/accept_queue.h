// The accept queue of a listening socket: how many clients, their handshakes complete, wait there
// to be accepted, and for how many there is room. Asked by the supervisor for status and metrics.
#pragma once

#include <cstdint>
#include <optional>

namespace forkecho::server {

struct AcceptQueue {
  std::uint32_t length = 0;
  std::uint32_t limit = 0;  // the backlog, cut to net.core.somaxconn

  AcceptQueue& operator+=(const AcceptQueue& other) {
    length += other.length;
    limit += other.limit;
    return *this;
  }
};

/// Of a TCP listener by TCP_INFO; of a unix listener by the kernel's socket diagnosis over netlink
/// (sock_diag(7)), which a kernel may be built without. Empty when the kernel does not tell, or the
/// socket does not listen (any more). Does not block; safe in threads.
std::optional<AcceptQueue> accept_queue_of(int listener);

}  // namespace forkecho::server
