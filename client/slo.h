// Slo: what a run shall keep to, one term of it: "p99<5ms", "errors<0.1%", "achieved>99%". Read by
// the command line; judged when a run has ended, and by search for each step. Pure; a value type.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace forkecho::client {

struct RunResult;

class Slo {
 public:
  enum class Figure {
    latency,   // from the intended start: min, mean, max, p50, p99, p99.9 (or p999), …
    errors,    // failed requests and connections, in percent of the requests scheduled
    achieved,  // in percent of the rate that was scheduled; of a closed loop 100
    shed,      // in percent of the requests scheduled
    rate,      // completed requests per second
  };
  enum class Relation { less, at_most, more, at_least };  // < <= > >=

  /// Empty for what is no term: the figure's name, then <, <=, > or >=, then a duration such as
  /// 5ms, a percentage such as 0.1%, or a number, as the figure has it.
  static std::optional<Slo> parse(std::string_view text);
  /// As it was written.
  const std::string& text() const { return text_; }
  Figure figure() const { return figure_; }

  /// The figure in `run`: nanoseconds, percent, or a number per second. Empty when nothing was
  /// completed of which it could be.
  std::optional<double> value_in(const RunResult& run) const;
  /// Whether `run` keeps to it; a figure that is not there does not.
  bool held_by(const RunResult& run) const;

 private:
  bool holds(double value) const;

  std::string text_;
  Figure figure_ = Figure::latency;
  std::string of_latency_;  // "min", "mean", "max"; or empty, and then
  double quantile_ = 0;
  Relation relation_ = Relation::less;
  double limit_ = 0;
};

/// One term, and what came of it.
struct SloOutcome {
  Slo term;
  bool held = false;
  std::optional<double> value{};  // see Slo::value_in
};

std::vector<SloOutcome> judge(const std::vector<Slo>& terms, const RunResult& run);

}  // namespace forkecho::client
