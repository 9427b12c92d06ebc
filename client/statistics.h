// What a row of measurements says: median, range, ratios. Used by compare over its rounds.
//
// Pure functions; safe everywhere.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "client/bootstrap.h"

namespace forkecho::client {

/// A row of measurements in the order in which they were made, and what is said of it.
struct Summary {
  double median = 0;
  double min = 0;
  double max = 0;
  std::vector<double> rounds;
  std::optional<Interval> interval{};  // of the median; empty for too few rounds
};

/// The middle value; of an even number, the mean of the two in the middle. Empty for no values.
std::optional<double> median(std::span<const double> values);

/// Empty for no values.
std::optional<Summary> summarise(std::vector<double> rounds);

/// values[i] / baseline[i] for each round that both have. What disturbs a whole round (another
/// program, a warmer processor) touches both sides, and leaves the ratio. Rounds whose baseline is
/// zero are left out; empty when none is left.
std::optional<Summary> ratio_per_round(std::span<const double> values,
                                       std::span<const double> baseline);

/// Jain's index of fairness (Jain, Chiu and Hawe, 1984): 1 when all shares are equal, 1/n when one
/// of n has everything. Empty for fewer than two shares, or when nobody has any.
std::optional<double> fairness_of(std::span<const double> shares);

}  // namespace forkecho::client
