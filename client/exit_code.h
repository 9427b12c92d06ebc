// The exit codes of forkecho, and which of them a run deserves. Pure functions.
#pragma once

#include "client/run_result.h"

namespace forkecho::client {

enum ExitCode : int {
  exit_good = 0,
  exit_failed = 1,   // a wrong reply, or a failed request
  exit_invalid = 2,  // the generator could not keep its own plan
  exit_usage = 64,   // EX_USAGE of sysexits.h, as the next three
  exit_nothing_answered = 69,
  exit_bug = 70,
  exit_system = 71,
};

/// A wrong reply comes first, then INVALID, then an SLO term that was missed, or anything that
/// failed and that no `errors` term allows. A run that completed nothing is no success.
ExitCode exit_code(const RunResult& result);

}  // namespace forkecho::client
