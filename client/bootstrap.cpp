#include "client/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "client/statistics.h"

namespace forkecho::client {
namespace {

double normal_probability(double value) {
  return 0.5 * std::erfc(-value / std::numbers::sqrt2);
}

/// The probability that |t| stays below `t`: Abramowitz and Stegun, 26.7.3 and 26.7.4.
double student_within(double t, std::size_t degrees) {
  const double angle = std::atan(t / std::sqrt(static_cast<double>(degrees)));
  const double cosine = std::cos(angle);
  const bool odd = degrees % 2 == 1;
  double term = odd ? cosine : 1;
  double sum = degrees == 1 ? 0 : term;
  for (std::size_t k = odd ? 3 : 2; k + 2 <= degrees; k += 2) {
    term *= cosine * cosine * static_cast<double>(k - 1) / static_cast<double>(k);
    sum += term;
  }
  sum *= std::sin(angle);
  return odd ? 2 / std::numbers::pi * (angle + sum) : sum;
}

/// Of the resampled figures, the fraction beyond each end.
double tail_of(std::size_t count, double level) {
  const auto n = static_cast<double>(count);
  const double t = student_quantile(0.5 + level / 2, count - 1);
  return normal_probability(-t * std::sqrt(n / (n - 1)));
}

}  // namespace

std::size_t fewest_values(double level) {
  std::size_t count = 2;
  while (std::exp2(1 - static_cast<double>(count)) > 1 - level) ++count;
  return count;
}

double student_quantile(double probability, std::size_t degrees_of_freedom) {
  const double within = 2 * probability - 1;
  double low = 0;
  double high = 1;
  while (student_within(high, degrees_of_freedom) < within) high *= 2;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (student_within(middle, degrees_of_freedom) < within ? low : high) = middle;
  }
  return high;
}

Interval expanded_ends(std::span<const double> sorted, std::size_t count, double level) {
  const auto beyond =
      static_cast<std::size_t>(tail_of(count, level) * static_cast<double>(sorted.size()));
  return {sorted[beyond], sorted[sorted.size() - 1 - beyond]};
}

std::optional<Interval> interval_of(
    std::size_t count, const std::function<double(std::span<const std::size_t>)>& figure,
    double level, std::size_t resamples) {
  if (count < fewest_values(level)) return std::nullopt;
  std::mt19937_64 random(count);
  std::vector<std::size_t> drawn(count);
  std::vector<double> figures(resamples);
  for (double& one : figures) {
    for (std::size_t& place : drawn) place = static_cast<std::size_t>(random() % count);
    one = figure(drawn);
  }
  std::ranges::sort(figures);
  return expanded_ends(figures, count, level);
}

std::optional<Interval> interval_of_median(std::span<const double> values, double level) {
  std::vector<double> drawn(values.size());
  return interval_of(
      values.size(),
      [&](std::span<const std::size_t> places) {
        std::ranges::transform(places, drawn.begin(), [&](std::size_t at) { return values[at]; });
        return *median(drawn);
      },
      level);
}

Difference difference_of(const std::optional<Interval>& ratio) {
  if (!ratio) return Difference::unknown;
  if (ratio->low > 1) return Difference::more;
  return ratio->high < 1 ? Difference::less : Difference::none;
}

std::string_view to_string(Difference difference) {
  switch (difference) {
    case Difference::none:
      return "no difference";
    case Difference::more:
      return "more";
    case Difference::less:
      return "less";
    case Difference::unknown:
      break;
  }
  return "too few to say";
}

}  // namespace forkecho::client
