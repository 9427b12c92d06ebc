// The supervisor: the process at the top. It opens the listeners, starts acceptors or workers and
// replaces them, keeps the books, answers on the control socket and leads the daemon through its
// life (life_cycle.h). It serves nobody, holds no descriptor per connection, takes no lock that
// another could hold, and believes nothing that another could have written.
#pragma once

#include <functional>

#include "server/handover.h"
#include "server/options.h"

namespace forkecho::server {

/// Runs the daemon in the calling process until its end; `on_ready` is called once it listens and
/// its processes are started. Returns after an orderly end. Throws FatalError, std::system_error.
void run_supervisor(const Options& options, const std::function<void()>& on_ready,
                    Inheritance inherited = {});

}  // namespace forkecho::server
