// The verbs of forkechod that are about a daemon's process: start one in the background, stop one,
// ask one for its status.
#pragma once

#include <string>

#include "common/sys/deadline.h"
#include "server/exit_code.h"
#include "server/handover.h"
#include "server/options.h"

namespace forkecho::server {

/// Starts the daemon in a session of its own and returns once it listens; throws what kept it from
/// that as FatalError, with the daemon's own exit code.
void start_daemon(const Options& options, Inheritance inherited = {});

/// Asks the daemon at `control` to drain (or, `now`, to end at once) and returns when it is gone.
/// Throws FatalError(unavailable) when nobody answers, FatalError(system) when it is still there at
/// the deadline.
void stop_daemon(const std::string& control, bool now, sys::Deadline deadline);

/// The daemon's status: JSON on one line, or text for a person.
std::string daemon_status(const std::string& control, bool json);

}  // namespace forkecho::server
