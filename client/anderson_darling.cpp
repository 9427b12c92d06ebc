#include "client/anderson_darling.h"

#include <algorithm>
#include <cmath>

namespace forkecho::client {
namespace {

constexpr double shortest_gap_s = 0.002;
constexpr std::size_t fewest_gaps = 20;

/// P(A² < z) for many numbers: Marsaglia and Marsaglia, 2004, section 3.
double limit_distribution(double z) {
  if (z <= 0) return 0;
  if (z < 2) {
    const double sum =
        2.00012 + (.247105 - (.0649821 - (.0347962 - (.011672 - .00168691 * z) * z) * z) * z) * z;
    return std::exp(-1.2337141 / z) / std::sqrt(z) * sum;
  }
  const double sum =
      1.0776 - (2.30695 - (.43424 - (.082433 - (.008056 - .0003146 * z) * z) * z) * z) * z;
  return std::exp(-std::exp(sum));
}

/// Logarithms of what is 0 by rounding would be infinite.
double away_from_the_ends(double number) {
  constexpr double least = 1e-300;
  constexpr double most = 1 - 0x1p-53;
  return std::clamp(number, least, most);
}

/// Parts of `at` without a gap, each in the order of time: two workers may overtake each other.
std::vector<std::vector<sys::Duration>> known_in_a_row(std::span<const sys::Duration> at) {
  std::vector<std::vector<sys::Duration>> parts(1);
  for (const sys::Duration moment : at) {
    if (moment != sys::Duration::zero()) {
      parts.back().push_back(moment);
    } else if (!parts.back().empty()) {
      parts.emplace_back();
    }
  }
  for (auto& part : parts) std::sort(part.begin(), part.end());
  return parts;
}

}  // namespace

AndersonDarling test_evenness(std::vector<double> numbers) {
  for (double& number : numbers) number = away_from_the_ends(number);
  std::sort(numbers.begin(), numbers.end());
  const std::size_t count = numbers.size();
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double weight = static_cast<double>(2 * i + 1);
    sum += weight * (std::log(numbers[i]) + std::log1p(-numbers[count - 1 - i]));
  }
  const auto n = static_cast<double>(count);
  const double a_squared = -n - sum / n;
  // Beyond 30 the approximation's polynomial has left its range; p is below 10⁻¹³ there.
  const double p = a_squared > 30 ? 0 : 1 - limit_distribution(a_squared);
  return {.count = count, .a_squared = a_squared, .p = std::clamp(p, 0.0, 1.0)};
}

double erlang_cdf(std::uint64_t shape, double x) {
  if (x <= 0) return 0;
  const auto k = static_cast<double>(shape);
  const double log_first = k * std::log(x) - x - std::lgamma(k + 1);  // e^−x · x^k/k!
  if (x < k) {
    // The terms above it: small results keep their digits.
    double sum = 0;
    double term = 1;
    for (double i = k + 1; term > sum * 1e-17; ++i) {
      sum += term;
      term *= x / i;
    }
    return std::exp(log_first) * sum;
  }
  // One minus those below it.
  double sum = 0;
  double term = k / x;
  for (double i = k - 1; i >= 0 && term > sum * 1e-17; --i) {
    sum += term;
    term *= i / x;
  }
  return 1 - std::exp(log_first) * sum;
}

std::uint64_t arrival_stride(double rate) {
  return static_cast<std::uint64_t>(std::max(1.0, std::ceil(rate * shortest_gap_s)));
}

std::optional<AndersonDarling> test_arrivals(const RateCurve& curve, std::uint64_t stride,
                                             std::span<const sys::Duration> at) {
  std::vector<double> evenly;
  for (const auto& moments : known_in_a_row(at)) {
    for (std::size_t i = 1; i < moments.size(); ++i) {
      const double expected = curve.arrivals_by(moments[i]) - curve.arrivals_by(moments[i - 1]);
      evenly.push_back(erlang_cdf(stride, expected));
    }
  }
  if (evenly.size() < fewest_gaps) return std::nullopt;
  return test_evenness(std::move(evenly));
}

}  // namespace forkecho::client
