// The search for the highest rate that a server holds: measures what SearchPolicy asks for, and
// keeps what each measurement said. Called by search; who measures is given to it, so that tests
// can be a server of known limit.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "client/exit_code.h"
#include "client/run_result.h"
#include "client/search_policy.h"
#include "client/slo.h"

namespace forkecho::client {

/// What is kept of one measurement.
struct SearchRepeat {
  double rps = 0;
  bool holds = false;
  bool valid = true;
  bool wrong = false;  // a reply
  double achieved_rps = 0;
  std::uint64_t p50_ns = 0;
  std::uint64_t p99_ns = 0;
  std::uint64_t errors = 0;
  std::vector<SloOutcome> slos{};
  std::vector<std::string> reasons{};  // of the generator's verdict
};

struct SearchResult {
  std::vector<Slo> terms{};
  std::vector<SearchStep> steps{};      // in the order in which they were made
  std::vector<SearchRepeat> repeats{};  // likewise
  std::optional<SearchEnd> end{};       // empty: interrupted
  std::optional<double> highest_holding{};
  std::optional<double> lowest_failing{};
  std::optional<RunResult> best{};  // the last run that held at highest_holding
};

/// Makes a run at this rate.
using MeasureRate = std::function<RunResult(double rps)>;
/// Called after each measurement.
using SearchProgress = std::function<void(const SearchRepeat&)>;

/// Ends by itself, or when a run was interrupted. What `measure` throws is passed on. `progress`
/// may be empty.
SearchResult run_search(const SearchLimits& limits, const std::vector<Slo>& terms,
                        const MeasureRate& measure, const SearchProgress& progress);

/// Whether a run holds its rate: every term, no wrong reply, and the server not the reason why the
/// plan could not be kept. Pure.
SearchTrial judge_trial(double rps, const RunResult& run, const std::vector<Slo>& terms);

/// The curve, by rate, and the answer in words. Pure; ends with a line's end.
std::string search_table(const SearchResult& search);

/// {"schema":1,"kind":"search","slo":[...],"end","highest_holding_rps","lowest_failing_rps",
///  "steps":[{"rps","holds","invalid","repeats":[{"holds","verdict","reasons","achieved_rps","p50",
///  "p99","errors","slo":[{"term","held","value"}]}]}],"best":{the JSON of a run} or null}
nlohmann::ordered_json to_json(const SearchResult& search);

/// A wrong reply is 1, as is a search in which nothing held; 2 where the generator was the limit.
ExitCode exit_code(const SearchResult& search);

}  // namespace forkecho::client
