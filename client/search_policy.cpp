#include "client/search_policy.h"

#include <algorithm>
#include <cmath>

namespace forkecho::client {
namespace {

// A generator that cannot make as many rates, each half of the one before, is hindered by something
// else than the rate.
constexpr std::size_t most_invalid_rates = 5;
// By as many steps what a rate at the border does outnumbers the contrary.
constexpr unsigned lead_at_the_border = 2;

}  // namespace

SearchPolicy::SearchPolicy(SearchLimits limits) : limits_(limits) {
  begin_step(std::clamp(limits_.first_rps, limits_.lowest_rps, limits_.highest_rps));
}

std::optional<double> SearchPolicy::next() const {
  return end_ ? std::nullopt : std::optional(steps_.back().rps);
}

void SearchPolicy::begin_step(double rps) {
  if (steps_.size() == limits_.most_steps) {
    end_ = SearchEnd::out_of_steps;
  } else {
    steps_.push_back({.rps = rps});
  }
}

void SearchPolicy::tell(const SearchTrial& trial) {
  if (end_) return;
  SearchStep& step = steps_.back();
  ++(trial.invalid ? step.invalid : trial.holds ? step.held : step.failed);
  const unsigned enough = limits_.repeats / 2 + 1;
  const bool decided = step.held >= enough || step.failed >= enough;
  if (!decided && step.invalid < limits_.repeats) return;
  step.holds = step.held >= enough;
  learn(step);
  place_border();
  choose_next();
}

void SearchPolicy::learn(const SearchStep& step) {
  Evidence& evidence = evidence_[step.rps];
  const unsigned enough = limits_.repeats / 2 + 1;
  const bool decided = step.held >= enough || step.failed >= enough;
  ++(step.holds ? evidence.held : evidence.failed);
  if (!decided) ++evidence.invalid;
}

void SearchPolicy::place_border() {
  unsigned misplaced = 0;  // with the border below everything
  for (const auto& [rps, evidence] : evidence_) misplaced += evidence.held;
  unsigned fewest = misplaced;
  auto first_above = evidence_.begin();
  for (auto at = evidence_.begin(); at != evidence_.end(); ++at) {
    misplaced += at->second.failed;
    misplaced -= at->second.held;
    if (misplaced >= fewest) continue;
    fewest = misplaced;
    first_above = std::next(at);
  }
  holding_.reset();
  failing_.reset();
  if (first_above != evidence_.begin()) holding_ = std::prev(first_above)->first;
  if (first_above != evidence_.end()) failing_ = first_above->first;
}

bool SearchPolicy::is_narrow() const {
  return *failing_ <= *holding_ * (1 + limits_.resolution);
}

bool SearchPolicy::is_always_invalid() const {
  return evidence_.size() >= most_invalid_rates &&
         std::ranges::all_of(evidence_, [](const auto& rate) {
           return rate.second.held == 0 && rate.second.invalid == rate.second.failed;
         });
}

void SearchPolicy::choose_next() {
  if (!failing_) {
    if (*holding_ >= limits_.highest_rps) {
      end_ = SearchEnd::everything_holds;
    } else {
      begin_step(std::min(*holding_ * 2, limits_.highest_rps));
    }
  } else if (!holding_) {
    if (is_always_invalid()) {
      end_ = SearchEnd::generator_limited;
    } else if (*failing_ <= limits_.lowest_rps) {
      end_ = SearchEnd::nothing_holds;
    } else {
      begin_step(std::max(*failing_ / 2, limits_.lowest_rps));
    }
  } else if (is_narrow()) {
    confirm();
  } else {
    begin_step(std::sqrt(*holding_ * *failing_));
  }
}

void SearchPolicy::confirm() {
  const Evidence& below = evidence_[*holding_];
  if (below.held < below.failed + lead_at_the_border) return begin_step(*holding_);
  const Evidence& above = evidence_[*failing_];
  if (above.failed < above.held + lead_at_the_border) return begin_step(*failing_);
  const bool by_generator = above.invalid * 2 > above.failed;
  end_ = by_generator ? SearchEnd::generator_limited : SearchEnd::found;
}

}  // namespace forkecho::client
