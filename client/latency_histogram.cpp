#include "client/latency_histogram.h"

#include <algorithm>
#include <cmath>

namespace forkecho::client {

double LatencyHistogram::mean() const {
  const auto recorded = static_cast<double>(count());
  return recorded == 0 ? 0 : static_cast<double>(sum_.get()) / recorded;
}

std::uint64_t LatencyHistogram::value_at_quantile(double quantile) const {
  const double wanted = std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count()));
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    seen += count_of(bucket);
    if (seen >= rank) return std::min(highest_of(bucket), max());
  }
  return max();
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  if (other.count() == 0) return;
  if (count() == 0 || other.min() < min()) min_.set(other.min());
  if (other.max() > max()) max_.set(other.max());
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    if (const std::uint64_t more = other.count_of(bucket); more != 0) counts_[bucket].add(more);
  }
  sum_.add(other.sum_.get());
  count_.add(other.count());
}

void LatencyHistogram::subtract(const LatencyHistogram& earlier) {
  std::uint64_t left = 0;
  min_.set(0);
  max_.set(0);
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const std::uint64_t count = count_of(bucket) - earlier.count_of(bucket);
    counts_[bucket].set(count);
    if (count == 0) continue;
    if (left == 0) min_.set(lowest_of(bucket));
    max_.set(highest_of(bucket));
    left += count;
  }
  sum_.set(sum_.get() - earlier.sum_.get());
  // Not the difference of the counts: a writer at work may have been seen between bucket and count.
  count_.set(left);
}

void LatencyHistogram::add(std::size_t bucket, std::uint64_t count) {
  if (count == 0) return;
  const std::uint64_t value = std::min(highest_of(bucket), highest_ns);
  if (count_.get() == 0 || value < min_.get()) min_.set(value);
  if (value > max_.get()) max_.set(value);
  counts_[bucket].add(count);
  sum_.add(value * count);
  count_.add(count);
}

void LatencyHistogram::set_exact(std::uint64_t min, std::uint64_t max, std::uint64_t sum) {
  min_.set(min);
  max_.set(max);
  sum_.set(sum);
}

}  // namespace forkecho::client
