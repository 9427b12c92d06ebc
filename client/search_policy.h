// SearchPolicy: which rate to try next, to find the highest that holds. Pure: whoever runs the load
// asks it for a step, makes the measurement, and tells it the outcome. Used by search.
//
// First the rate is doubled (or halved) until one step holds and one fails; then the gap between
// them is halved, on a logarithmic scale, until it is within the resolution. Each step is repeated,
// and holds when most of its repeats did; a failed step is the end of its rate as soon as it cannot
// hold any more. In the end the two rates at the border are measured once more: a figure that was
// luck is taken back, and the search goes on from there.
//
// A value type; safe everywhere. The number of steps is bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace forkecho::client {

struct SearchLimits {
  double first_rps = 1000;      // where to begin, above 0
  double lowest_rps = 0.01;     // what does not hold this is not searched further
  double highest_rps = 1e8;     // nor what holds this
  double resolution = 0.02;     // the gap between what holds and what fails, as a part of it
  unsigned repeats = 3;         // of each step, odd
  unsigned most_steps = 60;     // rates tried, with those of the confirmation
};

/// One measurement.
struct SearchTrial {
  double rps = 0;
  bool holds = false;    // every term held, and the server was not the reason of an INVALID
  bool invalid = false;  // the generator could not make this rate: no word on the server
};

/// A rate, with what its repeats said.
struct SearchStep {
  double rps = 0;
  unsigned held = 0;
  unsigned failed = 0;
  bool invalid = false;
  bool holds = false;
};

enum class SearchEnd {
  found,              // the border lies between highest_holding and lowest_failing
  nothing_holds,      // not even the lowest rate
  everything_holds,   // even the highest rate
  generator_limited,  // what lies above highest_holding is more than the generator can do
  out_of_steps,       // most_steps were made; the figures are what is known
};

class SearchPolicy {
 public:
  explicit SearchPolicy(SearchLimits limits);

  /// The rate to measure next; empty when the search is over.
  std::optional<double> next() const;
  /// The outcome at the rate that next() named.
  void tell(const SearchTrial& trial);

  /// Why it is over; empty while it is not.
  std::optional<SearchEnd> end() const { return end_; }
  /// The highest rate that holds; empty when none does.
  std::optional<double> highest_holding() const { return holding_; }
  /// The lowest known not to; empty when none is.
  std::optional<double> lowest_failing() const { return failing_; }
  /// Every step in the order in which it was made, also those that were begun only.
  const std::vector<SearchStep>& steps() const { return steps_; }

 private:
  enum class Phase { bracket, narrow, confirm_holding, confirm_failing };

  void begin_step(double rps);
  void learn(const SearchStep& step);
  void choose_next();
  bool is_narrow() const;
  void finish(SearchEnd end) { end_ = end; }

  SearchLimits limits_;
  Phase phase_ = Phase::bracket;
  std::vector<SearchStep> steps_;
  std::optional<double> holding_;
  std::optional<double> failing_;
  bool failing_is_invalid_ = false;
  std::optional<SearchEnd> end_;
};

}  // namespace forkecho::client
