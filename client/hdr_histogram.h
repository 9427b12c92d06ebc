// HdrHistogram: the counts of a histogram in one of the layouts of Gil Tene's HdrHistogram
// (http://hdrhistogram.org), as it stands in a log: of our own latencies, or somebody else's. It
// holds only buckets with something in them. Used by those who read and write logs; recording is
// LatencyHistogram's.
//
// Value types and pure functions; safe everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "client/latency_histogram.h"

namespace forkecho::client {

/// Which values share a bucket. The formulas are those of HdrHistogram's AbstractHistogram: values
/// below a power of two (at least 2 * 10^digits) have buckets of one unit each; above, each
/// doubling has half as many buckets of twice the width.
struct HdrLayout {
  unsigned digits = 3;       // significant decimal digits, 0 to 5
  std::uint64_t lowest = 1;  // the smallest value that is told from 0, at least 1
  std::uint64_t highest = LatencyHistogram::highest_ns;  // the largest that fits, at most 2^63 - 1

  /// Whether a histogram can have these: digits and lowest in range, highest at least twice lowest.
  bool possible() const;
  /// How many buckets there are.
  std::size_t buckets() const;
  /// Those at the bottom that are one unit wide: HdrHistogram's sub-buckets.
  std::size_t single_unit_buckets() const { return std::size_t{2} << half_bits(); }
  std::uint64_t lowest_of(std::size_t bucket) const;
  std::uint64_t highest_of(std::size_t bucket) const;
  bool operator==(const HdrLayout&) const = default;

 private:
  unsigned unit_bits() const;  // a unit is 2^this
  unsigned half_bits() const;  // a doubling has 2^this buckets
};

struct HdrHistogram {
  struct Bucket {
    std::size_t index;
    std::uint64_t count;  // never 0
    bool operator==(const Bucket&) const = default;
  };

  HdrLayout layout;
  std::vector<Bucket> buckets;  // by index, none twice

  std::uint64_t count() const;
  /// The lowest value of the first bucket, the highest of the last; 0 of an empty histogram.
  std::uint64_t min() const;
  std::uint64_t max() const;
  /// Of the middles of the buckets, as HdrHistogram has it; 0 of an empty one.
  double mean() const;
  /// The highest value of the bucket that holds the value at this rank (0 to 1); 0 of an empty one.
  std::uint64_t value_at_quantile(double quantile) const;
  /// Adds what `other` has; false, and nothing done, when its layout is another.
  bool merge(const HdrHistogram& other);
  bool operator==(const HdrHistogram&) const = default;
};

/// The counts of `latencies`, whose buckets are those of HdrLayout's defaults.
HdrHistogram to_hdr(const LatencyHistogram& latencies);

/// Adds every count to `latencies`, at the highest value of its bucket. False, and nothing done,
/// when the layout is not that of our own latencies.
bool add_to(LatencyHistogram& latencies, const HdrHistogram& histogram);

}  // namespace forkecho::client
