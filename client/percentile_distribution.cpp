#include "client/percentile_distribution.h"

#include <fmt/format.h>

#include <cmath>

namespace forkecho::client {
namespace {

/// The next level, in percent: each halving of what is left to 100 has `ticks` equal steps.
double next_level(double level, unsigned ticks) {
  const double halvings = std::floor(std::log2(100 / (100 - level))) + 1;
  return level + 100 / (ticks * std::exp2(halvings));
}

double deviation_of(const HdrHistogram& histogram, double mean) {
  double squares = 0;
  for (const auto& [index, count] : histogram.buckets) {
    const std::uint64_t low = histogram.layout.lowest_of(index);
    const auto middle =
        static_cast<double>(low + (histogram.layout.lowest_of(index + 1) - low) / 2);
    squares += (middle - mean) * (middle - mean) * static_cast<double>(count);
  }
  return std::sqrt(squares / static_cast<double>(histogram.count()));
}

std::string line_of(const PercentilePoint& point, double unit, unsigned digits) {
  std::string line =
      fmt::format("{:12.{}f} {:2.12f} {:10}", static_cast<double>(point.value) / unit, digits,
                  point.quantile, point.count);
  if (point.quantile < 1) line += fmt::format(" {:14.2f}", 1 / (1 - point.quantile));
  return line + '\n';
}

}  // namespace

std::vector<PercentilePoint> percentile_curve(const HdrHistogram& histogram, unsigned ticks) {
  std::vector<PercentilePoint> points;
  const std::uint64_t all = histogram.count();
  std::uint64_t seen = 0;
  double level = 0;
  for (const auto& [index, count] : histogram.buckets) {
    seen += count;
    const std::uint64_t value = histogram.layout.highest_of(index);
    const double reached = 100 * static_cast<double>(seen) / static_cast<double>(all);
    while (reached >= level && level < 100) {
      points.push_back({level / 100, value, seen});
      level = next_level(level, ticks);
      if (seen == all) break;
    }
    if (seen == all) points.push_back({1, value, seen});
  }
  return points;
}

std::string percentile_text(const HdrHistogram& histogram, double unit) {
  const unsigned digits = histogram.layout.digits;
  std::string text = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
  for (const PercentilePoint& point : percentile_curve(histogram)) {
    text += line_of(point, unit, digits);
  }
  const bool empty = histogram.buckets.empty();
  const double mean = histogram.mean();
  // As HdrHistogram counts: buckets are its doublings, of so many sub-buckets.
  const std::size_t single = histogram.layout.single_unit_buckets();
  text += fmt::format("#[Mean    = {:12.{}f}, StdDeviation   = {:12.{}f}]\n", mean / unit, digits,
                      empty ? 0 : deviation_of(histogram, mean) / unit, digits);
  text += fmt::format("#[Max     = {:12.{}f}, Total count    = {:12}]\n",
                      static_cast<double>(histogram.max()) / unit, digits, histogram.count());
  text += fmt::format("#[Buckets = {:12}, SubBuckets     = {:12}]\n",
                      histogram.layout.buckets() * 2 / single - 1, single);
  return text;
}

}  // namespace forkecho::client
