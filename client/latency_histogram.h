// LatencyHistogram: how often each latency occurred, with three significant decimal digits from one
// nanosecond to one hour, in a fixed size and without allocation. Workers record into one in shared
// memory; the parent merges them.
//
// The layout of the buckets is that of Gil Tene's HdrHistogram (http://hdrhistogram.org, 2048
// sub-buckets for three digits): values below 2048 have a bucket each; above, each doubling of the
// value has 1024 buckets, so that a bucket is never wider than a thousandth of the values in it.
// Count, minimum, maximum and sum (so the mean) are exact.
//
// Trivially copyable, of standard layout, empty when its memory is zero: fit for mp::RawValue. 265
// KiB, so no object for a stack: keep it in a Boxed or in shared memory. One process (and thread)
// records; others may read meanwhile (relaxed atomics: they may see a value counted in one place
// and not yet in the other). No function fails.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "client/counter.h"

namespace forkecho::client {

class LatencyHistogram {
 public:
  static constexpr std::uint64_t highest_ns =
      3'600'000'000'000;  // one hour; what is longer counts as this
  static constexpr std::size_t sub_buckets = 2048;

  /// Counts one latency.
  void record(std::uint64_t ns) {
    const std::uint64_t value = ns < highest_ns ? ns : highest_ns;
    counts_[bucket_of(value)].add(1);
    if (count_.get() == 0 || value < min_.get()) min_.set(value);
    if (value > max_.get()) max_.set(value);
    sum_.add(value);
    count_.add(1);
  }

  std::uint64_t count() const { return count_.get(); }
  /// 0 when nothing was recorded, as are max, mean and every quantile.
  std::uint64_t min() const { return min_.get(); }
  std::uint64_t max() const { return max_.get(); }
  double mean() const;

  /// The smallest latency that at least the fraction `quantile` (0 to 1) of all does not exceed:
  /// the highest value of its bucket, as HdrHistogram reports it, but never above max().
  std::uint64_t value_at_quantile(double quantile) const;

  /// Adds everything that `other` has. Lossless and in any order: the buckets are the same.
  void merge(const LatencyHistogram& other);
  /// Takes away what `earlier` had, a copy of this very histogram of an earlier time: what is left
  /// was recorded since. Minimum and maximum are then those of the buckets.
  void subtract(const LatencyHistogram& earlier);
  /// Counts `count` latencies of a bucket, each as its highest value: of a histogram that was
  /// written down. set_exact tells what the buckets do not.
  void add(std::size_t bucket, std::uint64_t count);
  void set_exact(std::uint64_t min, std::uint64_t max, std::uint64_t sum);
  /// Of all latencies, in ns.
  std::uint64_t sum() const { return sum_.get(); }

  // The buckets themselves, for those who write or draw them.
  static constexpr std::size_t bucket_of(std::uint64_t value) {
    const auto doublings =
        static_cast<std::size_t>(std::bit_width(value | (sub_buckets - 1))) - sub_bucket_bits;
    return doublings * half + static_cast<std::size_t>(value >> doublings);
  }
  static constexpr std::uint64_t lowest_of(std::size_t bucket) {
    if (bucket < sub_buckets) return bucket;
    const std::size_t doublings = bucket / half - 1;
    return static_cast<std::uint64_t>(bucket - doublings * half) << doublings;
  }
  static constexpr std::uint64_t highest_of(std::size_t bucket) {
    return lowest_of(bucket + 1) - 1;
  }
  std::uint64_t count_of(std::size_t bucket) const { return counts_[bucket].get(); }

 private:
  static constexpr std::size_t half = sub_buckets / 2;
  static constexpr std::size_t sub_bucket_bits = 11;
  static_assert(std::size_t{1} << sub_bucket_bits == sub_buckets);

 public:
  static constexpr std::size_t buckets =
      (static_cast<std::size_t>(std::bit_width(highest_ns)) - sub_bucket_bits + 2) * half;

 private:
  Counter count_;
  Counter min_;
  Counter max_;
  Counter sum_;
  Counter counts_[buckets];
};

}  // namespace forkecho::client
