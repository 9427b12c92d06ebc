// SearchPolicy: which rate to try next, to find the highest that holds. Pure: whoever runs the load
// asks it for a step, makes the measurement, and tells it the outcome. Used by search.
//
// First the rate is doubled (or halved) until one holds and one fails; then the gap between them is
// halved, on a logarithmic scale, until it is within the resolution. Each step is repeated until
// most of its repeats agree. In the end the two rates at the border are measured again until their
// steps agree by two, and the search goes on wherever that moves the border.
//
// Decided 2026-11 (what is the border): measurements contradict each other, so one that failed by
// chance must not end the search below it, nor one that held by luck above it. The border is where
// the fewest steps are on the wrong side: failed below it, held above it; of several such places
// the lowest. A repeat that was INVALID says nothing of the server and is made again; a rate whose
// repeats are INVALID again and again is one that the generator cannot make.
//
// A value type; safe everywhere. The number of measurements is bounded.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace forkecho::client {

struct SearchLimits {
  double first_rps = 1000;   // where to begin, above 0
  double lowest_rps = 0.01;  // what does not hold this is not searched further
  double highest_rps = 1e8;  // nor what holds this
  double resolution = 0.02;  // the gap between what holds and what fails, as a part of it
  unsigned repeats = 3;      // of each step at most, and INVALID ones as many, odd
  unsigned most_steps = 60;  // with those of the confirmation
};

/// One measurement.
struct SearchTrial {
  double rps = 0;
  bool holds = false;    // every term held, and the server was not the reason that the plan failed
  bool invalid = false;  // the generator could not keep this rate: no word on the server
};

/// A rate, with what its repeats said.
struct SearchStep {
  double rps = 0;
  unsigned held = 0;
  unsigned failed = 0;
  unsigned invalid = 0;
  bool holds = false;
};

enum class SearchEnd {
  found,              // the border lies between highest_holding and lowest_failing
  nothing_holds,      // not even the lowest rate
  everything_holds,   // even the highest rate
  generator_limited,  // what lies above highest_holding, if anything holds, is more than the
                      // generator can do
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
  /// Every step in the order in which it was made, also one that was begun only.
  const std::vector<SearchStep>& steps() const { return steps_; }

 private:
  /// All steps of one rate.
  struct Evidence {
    unsigned held = 0;  // steps
    unsigned failed = 0;
    unsigned invalid = 0;  // of those that failed
  };

  void begin_step(double rps);
  void learn(const SearchStep& step);
  void place_border();
  void choose_next();
  void confirm();
  bool is_narrow() const;
  bool is_always_invalid() const;

  SearchLimits limits_;
  std::vector<SearchStep> steps_;
  std::map<double, Evidence> evidence_;
  std::optional<double> holding_;
  std::optional<double> failing_;
  std::optional<SearchEnd> end_;
};

}  // namespace forkecho::client
