#include "client/hdr_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace forkecho::client {
namespace {

constexpr unsigned most_digits = 5;
constexpr std::uint64_t largest_value = (std::uint64_t{1} << 63) - 1;

/// Buckets of one unit: the power of two that is not below 2 * 10^digits.
std::uint64_t single_units(unsigned digits) {
  std::uint64_t least = 2;
  for (unsigned i = 0; i < digits; ++i) least *= 10;
  return std::bit_ceil(least);
}

}  // namespace

bool HdrLayout::possible() const {
  return digits <= most_digits && lowest >= 1 && highest <= largest_value &&
         lowest <= highest / 2 && unit_bits() + half_bits() + 1 <= 61;
}

unsigned HdrLayout::unit_bits() const {
  return static_cast<unsigned>(std::bit_width(lowest)) - 1;
}

unsigned HdrLayout::half_bits() const {
  return static_cast<unsigned>(std::bit_width(single_units(digits))) - 2;
}

std::size_t HdrLayout::buckets() const {
  const unsigned single_bits = unit_bits() + half_bits() + 1;  // values below 2^this: a unit each
  const auto bits = static_cast<unsigned>(std::bit_width(highest));
  const unsigned doublings = bits > single_bits ? bits - single_bits : 0;
  return (std::size_t{doublings} + 2) << half_bits();
}

std::uint64_t HdrLayout::lowest_of(std::size_t bucket) const {
  const std::size_t half = std::size_t{1} << half_bits();
  if (bucket < 2 * half) return static_cast<std::uint64_t>(bucket) << unit_bits();
  const std::size_t doublings = bucket / half - 1;
  return static_cast<std::uint64_t>(bucket % half + half) << (doublings + unit_bits());
}

std::uint64_t HdrLayout::highest_of(std::size_t bucket) const {
  return lowest_of(bucket + 1) - 1;
}

std::uint64_t HdrHistogram::count() const {
  std::uint64_t sum = 0;
  for (const Bucket& bucket : buckets) sum += bucket.count;
  return sum;
}

std::uint64_t HdrHistogram::min() const {
  return buckets.empty() ? 0 : layout.lowest_of(buckets.front().index);
}

std::uint64_t HdrHistogram::max() const {
  return buckets.empty() ? 0 : layout.highest_of(buckets.back().index);
}

double HdrHistogram::mean() const {
  double sum = 0;
  for (const auto& [index, times] : buckets) {
    const std::uint64_t low = layout.lowest_of(index);
    const std::uint64_t middle = low + (layout.lowest_of(index + 1) - low) / 2;
    sum += static_cast<double>(middle) * static_cast<double>(times);
  }
  return buckets.empty() ? 0 : sum / static_cast<double>(count());
}

std::uint64_t HdrHistogram::value_at_quantile(double quantile) const {
  const double wanted = std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count()));
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
  std::uint64_t seen = 0;
  for (const auto& [index, times] : buckets) {
    seen += times;
    if (seen >= rank) return layout.highest_of(index);
  }
  return max();
}

bool HdrHistogram::merge(const HdrHistogram& other) {
  if (other.layout != layout) return false;
  std::vector<Bucket> sum;
  sum.reserve(buckets.size() + other.buckets.size());
  std::ranges::merge(buckets, other.buckets, std::back_inserter(sum), {}, &Bucket::index,
                     &Bucket::index);
  buckets.clear();
  for (const Bucket& bucket : sum) {
    if (!buckets.empty() && buckets.back().index == bucket.index) {
      buckets.back().count += bucket.count;
    } else {
      buckets.push_back(bucket);
    }
  }
  return true;
}

HdrHistogram to_hdr(const LatencyHistogram& latencies) {
  HdrHistogram histogram;
  for (std::size_t index = 0; index < LatencyHistogram::buckets; ++index) {
    const std::uint64_t count = latencies.count_of(index);
    if (count != 0) histogram.buckets.push_back({index, count});
  }
  return histogram;
}

bool add_to(LatencyHistogram& latencies, const HdrHistogram& histogram) {
  if (histogram.layout != HdrLayout{}) return false;
  for (const auto& [index, count] : histogram.buckets) latencies.add(index, count);
  return true;
}

}  // namespace forkecho::client
