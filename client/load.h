// run_load: drives a server as a LoadPlan says, with worker processes, and tells what came of it.
// Called by the load command and by compare.
#pragma once

#include <stdexcept>

#include "client/load_plan.h"
#include "client/progress.h"
#include "client/run_result.h"

namespace forkecho::client {

/// Not even the first connection could be made. The text is one line for the user.
class NothingAnswered : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The target is no address at all. The text is one line for the user.
class MalformedTarget : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// Options that do not go together, or a source that is not this machine's. One line for the user.
class ImpossiblePlan : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// Runs `plan` to its end, and returns when every worker has gone. `progress` may be null.
/// SIGINT or SIGTERM to this process ends the run early, with a result (interrupted is set); a
/// second one has its usual effect. The workers are killed if this process is. Throws
/// NothingAnswered, MalformedTarget, ImpossiblePlan, and std::system_error when the system refuses
/// a process or memory. Failures of the server are results, not exceptions. Must be called in a
/// process of one thread; not while another run_load of it is under way.
RunResult run_load(const LoadPlan& plan, Progress* progress);

}  // namespace forkecho::client
