#include "client/statistics.h"

#include <algorithm>
#include <cstddef>

namespace forkecho::client {

std::optional<double> median(std::span<const double> values) {
  if (values.empty()) return std::nullopt;
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

std::optional<Summary> summarise(std::vector<double> rounds) {
  if (rounds.empty()) return std::nullopt;
  const auto [min, max] = std::ranges::minmax(rounds);
  const double middle = *median(rounds);
  const auto interval = interval_of_median(rounds);
  return Summary{
      .median = middle, .min = min, .max = max, .rounds = std::move(rounds), .interval = interval};
}

std::optional<Summary> ratio_per_round(std::span<const double> values,
                                       std::span<const double> baseline) {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < std::min(values.size(), baseline.size()); ++round) {
    if (baseline[round] > 0) ratios.push_back(values[round] / baseline[round]);
  }
  return summarise(std::move(ratios));
}

std::optional<double> fairness_of(std::span<const double> shares) {
  double sum = 0;
  double squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  if (shares.size() < 2 || sum <= 0) return std::nullopt;
  return sum * sum / (static_cast<double>(shares.size()) * squares);
}

}  // namespace forkecho::client
