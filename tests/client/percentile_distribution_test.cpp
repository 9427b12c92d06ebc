#include "client/percentile_distribution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/boxed.h"

namespace forkecho::client {
namespace {

HdrHistogram one_to(std::uint64_t last) {
  Boxed<LatencyHistogram> latencies;
  for (std::uint64_t value = 1; value <= last; ++value) latencies->record(value);
  return to_hdr(*latencies);
}

TEST(PercentileCurve, HasItsStepsWhereHdrHistogramHasThem) {
  const auto points = percentile_curve(one_to(1000));
  ASSERT_GT(points.size(), 12U);
  const double quantiles[] = {0, .1, .2, .3, .4, .5, .55, .6, .65, .7, .75, .775};
  for (std::size_t i = 0; i < std::size(quantiles); ++i) {
    EXPECT_NEAR(points[i].quantile, quantiles[i], 1e-12);
    EXPECT_EQ(points[i].value, std::max<std::uint64_t>(1, std::uint64_t(quantiles[i] * 1000 + .5)));
    EXPECT_EQ(points[i].count, points[i].value);
  }
  EXPECT_EQ(points.back().quantile, 1);
  EXPECT_EQ(points.back().value, 1000U);
  EXPECT_GT(points[points.size() - 2].quantile, 0.999);
}

TEST(PercentileCurve, OfOneValueIsALine) {
  Boxed<LatencyHistogram> latencies;
  latencies->record(7);
  const auto points = percentile_curve(to_hdr(*latencies));
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0].quantile, 0);
  EXPECT_EQ(points[1].quantile, 1);
  EXPECT_TRUE(percentile_curve({}).empty());
}

TEST(PercentileText, IsWhatHdrHistogramWrites) {
  const std::string text = percentile_text(one_to(3), 1);
  EXPECT_EQ(text,
            "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
            "       1.000 0.000000000000          1           1.00\n"
            "       1.000 0.100000000000          1           1.11\n"
            "       1.000 0.200000000000          1           1.25\n"
            "       1.000 0.300000000000          1           1.43\n"
            "       2.000 0.400000000000          2           1.67\n"
            "       2.000 0.500000000000          2           2.00\n"
            "       2.000 0.550000000000          2           2.22\n"
            "       2.000 0.600000000000          2           2.50\n"
            "       2.000 0.650000000000          2           2.86\n"
            "       3.000 0.700000000000          3           3.33\n"
            "       3.000 1.000000000000          3\n"
            "#[Mean    =        2.000, StdDeviation   =        0.816]\n"
            "#[Max     =        3.000, Total count    =            3]\n"
            "#[Buckets =           32, SubBuckets     =         2048]\n");
}

TEST(PercentileText, OfNothingSaysSo) {
  EXPECT_THAT(percentile_text({}), testing::HasSubstr("Total count    =            0"));
}

}  // namespace
}  // namespace forkecho::client
