// Whether the load generator kept its own plan, decided from what it knows of itself. Pure
// functions. A slow or frozen server alone never makes a run INVALID.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/run_result.h"

namespace forkecho::client {

/// A worker that is busier than this, of one processor over the measured part, may itself be what
/// the figures show: it could not have sent much faster. The rest is left for what the clock of
/// processor time does not see at once.
inline constexpr double worker_cpu_limit_percent = 95;

/// Of a shorter measured part the processor time is not judged: it says how a burst went, not what
/// limits.
inline constexpr double shortest_judged_s = 0.5;

/// What the workers of a run wrote down about themselves, or what befell them.
struct GeneratorEvidence {
  double measured_s = 0;              // how long the measured part was
  std::vector<double> cpu_percent{};  // of each worker
  std::uint64_t ports_exhausted = 0;  // connects that failed for want of a local port
  std::uint64_t descriptors_exhausted = 0;
  bool conntrack_exhausted = false;  // while connects timed out
  int other_error = 0;               // the last errno of what was counted as "other"; 0 = none
  std::vector<std::string> dead_workers{};  // "worker 2 was killed by signal 9"
  std::string given_up{};  // why the run was ended before its number of requests, if so
};

GeneratorVerdict judge(const GeneratorEvidence& evidence);

}  // namespace forkecho::client
