// Fairness over the workers: how evenly connections are spread over them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace forkecho::server {

struct Fairness {
  std::uint64_t workers = 0;     // that live now
  std::uint64_t served_min = 0;  // connections taken so far by the one that took the fewest
  std::uint64_t served_max = 0;
  double jain = 1;  // Jain's index: 1 all took the same, 1/workers one took all
  bool operator==(const Fairness&) const = default;
};

/// `served`: connections of each worker. The index is (sum x)^2 / (n * sum x^2): R. Jain, D. Chiu,
/// W. Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource Allocation in
/// Shared Computer Systems", DEC TR-301, 1984. Of nothing served, and of no worker, it is 1.
inline Fairness fairness_of(std::span<const std::uint64_t> served) {
  if (served.empty()) return {};
  const auto [min, max] = std::minmax_element(served.begin(), served.end());
  double sum = 0;
  double sum_of_squares = 0;
  for (const std::uint64_t count : served) {
    const auto x = static_cast<double>(count);
    sum += x;
    sum_of_squares += x * x;
  }
  const auto n = static_cast<double>(served.size());
  return {.workers = served.size(),
          .served_min = *min,
          .served_max = *max,
          .jain = sum_of_squares > 0 ? sum * sum / (n * sum_of_squares) : 1};
}

}  // namespace forkecho::server
