// The distribution of a histogram, percentile by percentile: as a curve for the page, and as the
// text that HdrHistogram's tools plot (.hgrm). Pure functions.
//
// The steps are those of HdrHistogram's PercentileIterator: `ticks` of them for each halving of the
// distance to 100 %.
#pragma once

#include <string>
#include <vector>

#include "client/hdr_histogram.h"

namespace forkecho::client {

struct PercentilePoint {
  double quantile;      // 0 to 1
  std::uint64_t value;  // the highest of its bucket
  std::uint64_t count;  // of all values up to this one
};

/// From the smallest value to the largest, the last at 1; empty for an empty histogram.
std::vector<PercentilePoint> percentile_curve(const HdrHistogram& histogram, unsigned ticks = 5);

/// The text that HdrHistogram writes, values divided by `unit` (1e6: milliseconds).
std::string percentile_text(const HdrHistogram& histogram, double unit = 1e6);

}  // namespace forkecho::client
