// Where a pool worker's next client comes from: what --accept says. A worker has one source for its
// whole life.
//
// When a process dies: a client in the kernel's queue stays there for the next worker; one in the
// pipe of `passing`, too. The lock of `lock` guards nothing but the turn, so that the death of its
// holder leaves nothing to repair. A holder that lives and does nothing is the supervisor's affair
// (stall_watch.h).
#pragma once

#include <memory>

#include "server/process_context.h"

namespace forkecho::server {

class ClientSource {
 public:
  virtual ~ClientSource() = default;
  /// Waits for a client; without one (`none`) when a signal's handler has run, and, in a worker
  /// that was told to drain, at once when nobody waits. Leaves with `lock_broken` when the lock is
  /// none any more.
  virtual AcceptResult next() = 0;
};

std::unique_ptr<ClientSource> make_client_source(const ProcessContext& context);

}  // namespace forkecho::server
