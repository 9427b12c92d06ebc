#include "client/search_policy.h"

#include <algorithm>
#include <cmath>

namespace forkecho::client {

SearchPolicy::SearchPolicy(SearchLimits limits) : limits_(limits) {
  begin_step(std::clamp(limits_.first_rps, limits_.lowest_rps, limits_.highest_rps));
}

std::optional<double> SearchPolicy::next() const {
  return end_ ? std::nullopt : std::optional(steps_.back().rps);
}

void SearchPolicy::begin_step(double rps) {
  if (steps_.size() == limits_.most_steps) return finish(SearchEnd::out_of_steps);
  steps_.push_back({.rps = rps});
}

void SearchPolicy::tell(const SearchTrial& trial) {
  if (end_) return;
  SearchStep& step = steps_.back();
  step.invalid = step.invalid || trial.invalid;
  ++(trial.holds && !trial.invalid ? step.held : step.failed);
  const unsigned enough = limits_.repeats / 2 + 1;
  if (step.held < enough && step.failed < enough) return;
  step.holds = step.held >= enough;
  learn(step);
  if (!end_) choose_next();
}

/// What is now known of the border. A step that contradicts what was known takes it back.
void SearchPolicy::learn(const SearchStep& step) {
  if (step.holds) {
    if (!holding_ || step.rps > *holding_) holding_ = step.rps;
    if (failing_ && *failing_ <= step.rps) failing_.reset();
  } else {
    failing_is_invalid_ = step.invalid && (!failing_ || step.rps <= *failing_);
    if (!failing_ || step.rps < *failing_) failing_ = step.rps;
    if (holding_ && *holding_ >= step.rps) holding_.reset();
  }
  if (step.holds && step.rps >= limits_.highest_rps) finish(SearchEnd::everything_holds);
  if (!step.holds && step.rps <= limits_.lowest_rps) finish(SearchEnd::nothing_holds);
}

bool SearchPolicy::is_narrow() const {
  return *failing_ <= *holding_ * (1 + limits_.resolution);
}

void SearchPolicy::choose_next() {
  const double rps = steps_.back().rps;
  if (!failing_) {
    phase_ = Phase::bracket;
    return begin_step(std::min(*holding_ * 2, limits_.highest_rps));
  }
  if (!holding_) {
    phase_ = Phase::bracket;
    return begin_step(std::max(*failing_ / 2, limits_.lowest_rps));
  }
  if (!is_narrow()) {
    phase_ = Phase::narrow;
    return begin_step(std::sqrt(*holding_ * *failing_));
  }
  if (phase_ == Phase::confirm_holding && rps == *holding_) {
    phase_ = Phase::confirm_failing;
    return begin_step(*failing_);
  }
  if (phase_ == Phase::confirm_failing && rps == *failing_) {
    return finish(failing_is_invalid_ ? SearchEnd::generator_limited : SearchEnd::found);
  }
  phase_ = Phase::confirm_holding;
  begin_step(*holding_);
}

}  // namespace forkecho::client
