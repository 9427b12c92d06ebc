// Whether the load generator kept its own plan, decided from what it knows of itself. Pure
// functions. A slow or frozen server alone never makes a run INVALID.
#pragma once

#include <cstdint>
#include <optional>
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

/// What the generator adds to the latencies shall be small: a lag (see Lag) whose 99th percentile
/// is above 1 ms, and above a tenth of the 99th percentile of the latency, is not.
inline constexpr std::uint64_t lag_limit_ns = 1'000'000;
inline constexpr double lag_share_limit = 0.1;

/// Of fewer completed requests the 99th percentiles say nothing.
inline constexpr std::uint64_t fewest_judged_requests = 100;

/// More of the requests than this may not be shed for the generator's own reasons.
inline constexpr double shed_limit_percent = 1;

/// A plan that was missed by more than this, in requests shed or in time, was not kept; it is then
/// asked who was the limit.
inline constexpr double missed_limit_percent = 1;

/// A machine whose processors are busier than this has none left; where the generator had or wanted
/// more than the second figure (of one processor, for each worker) meanwhile, it is a part of that.
inline constexpr double machine_full_percent = 95;
inline constexpr double generator_part_percent = 10;

/// Arrivals that a Poisson process would show more rarely than this are none. The test sees a
/// single stall of some milliseconds, which harms nobody's percentiles; so it warns, and the lag
/// judges.
inline constexpr double poisson_p_limit = 0.001;

/// What the workers of a run wrote down about themselves, or what befell them.
struct GeneratorEvidence {
  double measured_s = 0;              // how long the measured part was
  std::vector<double> cpu_percent{};  // of each worker
  std::uint64_t ports_exhausted = 0;  // connects that failed for want of a local port
  std::uint64_t descriptors_exhausted = 0;
  bool conntrack_exhausted = false;  // while connects timed out
  int other_error = 0;               // the last errno of what was counted as "other"; 0 = none
  std::vector<std::string> dead_workers{};  // "worker 2 was killed by signal 9"
  // Of an open loop.
  struct OpenLoop {
    double planned_rps = 0;  // what the schedule had
    double achieved_rps = 0;
    std::uint64_t scheduled = 0;
    std::uint64_t completed = 0;
    std::uint64_t shed_by_server = 0;
    std::uint64_t shed_by_generator = 0;
    Lag lag{};
    std::uint64_t latency_p99_ns = 0;  // from the intended start
    bool is_poisson = false;           // as planned
    std::optional<AndersonDarling> poisson{};
  };
  std::optional<OpenLoop> open_loop{};
  std::vector<double> wanted_cpu_percent{};      // see GeneratorVerdict
  std::optional<double> machine_busy_percent{};  // likewise
  std::string given_up{};  // why the run was ended before its number of requests, if so
};

GeneratorVerdict judge(const GeneratorEvidence& evidence);

/// Empty when there is none.
std::string arrivals_warning(const GeneratorEvidence& evidence);

}  // namespace forkecho::client
