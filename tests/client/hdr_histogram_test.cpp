#include "client/hdr_histogram.h"

#include <gtest/gtest.h>

#include "client/boxed.h"

namespace forkecho::client {
namespace {

HdrHistogram histogram_of(std::initializer_list<std::uint64_t> values) {
  Boxed<LatencyHistogram> latencies;
  for (const std::uint64_t value : values) latencies->record(value);
  return to_hdr(*latencies);
}

TEST(HdrLayout, IsByDefaultThatOfOurLatencies) {
  const HdrLayout layout;
  ASSERT_EQ(layout.buckets(), LatencyHistogram::buckets);
  for (std::size_t bucket = 0; bucket < LatencyHistogram::buckets; ++bucket) {
    ASSERT_EQ(layout.lowest_of(bucket), LatencyHistogram::lowest_of(bucket));
    ASSERT_EQ(layout.highest_of(bucket), LatencyHistogram::highest_of(bucket));
  }
}

// From HdrHistogram's description: two digits need 256 sub-buckets, and values are told apart in
// units of the power of two below the lowest.
TEST(HdrLayout, HasWiderBucketsWithFewerDigitsAndALargerUnit) {
  const HdrLayout layout{.digits = 2, .lowest = 1000, .highest = 3'600'000'000'000};
  ASSERT_TRUE(layout.possible());
  EXPECT_EQ(layout.single_unit_buckets(), 256U);
  EXPECT_EQ(layout.lowest_of(1), 512U);
  EXPECT_EQ(layout.highest_of(255), 256U * 512 - 1);
  EXPECT_EQ(layout.highest_of(256) - layout.lowest_of(256) + 1, 1024U);
  EXPECT_GE(layout.highest_of(layout.buckets() - 1), layout.highest);
  EXPECT_LT(layout.lowest_of(layout.buckets() - 128), layout.highest);
}

TEST(HdrLayout, IsImpossibleBeyondItsBounds) {
  EXPECT_FALSE((HdrLayout{.digits = 6}.possible()));
  EXPECT_FALSE((HdrLayout{.lowest = 0}.possible()));
  EXPECT_FALSE((HdrLayout{.lowest = 10, .highest = 19}.possible()));
  EXPECT_TRUE((HdrLayout{.lowest = 10, .highest = 20}.possible()));
  EXPECT_FALSE((HdrLayout{.highest = std::uint64_t{1} << 63}.possible()));
  EXPECT_FALSE(
      (HdrLayout{.lowest = std::uint64_t{1} << 61, .highest = ~std::uint64_t{0} >> 1}).possible());
}

TEST(HdrHistogram, TellsWhatItHolds) {
  const HdrHistogram histogram = histogram_of({1, 2, 3, 4'000'000});
  EXPECT_EQ(histogram.count(), 4U);
  EXPECT_EQ(histogram.min(), 1U);
  EXPECT_EQ(histogram.max(), LatencyHistogram::highest_of(LatencyHistogram::bucket_of(4'000'000)));
  EXPECT_EQ(histogram.value_at_quantile(0), 1U);
  EXPECT_EQ(histogram.value_at_quantile(0.5), 2U);
  EXPECT_EQ(histogram.value_at_quantile(0.76), histogram.max());
  EXPECT_NEAR(histogram.mean(), 1'000'001.5, 1000);
  EXPECT_EQ(HdrHistogram{}.value_at_quantile(0.5), 0U);
  EXPECT_EQ(HdrHistogram{}.max(), 0U);
}

TEST(HdrHistogram, MergesThoseOfItsLayout) {
  HdrHistogram sum = histogram_of({1, 5, 9000});
  ASSERT_TRUE(sum.merge(histogram_of({3, 5, 70000})));
  EXPECT_EQ(sum, histogram_of({1, 3, 5, 5, 9000, 70000}));
  const HdrHistogram before = sum;
  EXPECT_FALSE(sum.merge(HdrHistogram{.layout = {.digits = 2}, .buckets = {{1, 1}}}));
  EXPECT_EQ(sum, before);
}

TEST(HdrHistogram, GoesBackIntoLatencies) {
  const HdrHistogram histogram = histogram_of({0, 5, 5, 9000, LatencyHistogram::highest_ns});
  Boxed<LatencyHistogram> latencies;
  ASSERT_TRUE(add_to(*latencies, histogram));
  EXPECT_EQ(to_hdr(*latencies), histogram);
  EXPECT_EQ(latencies->count(), 5U);
  EXPECT_EQ(latencies->max(), LatencyHistogram::highest_ns);
  EXPECT_FALSE(add_to(*latencies, HdrHistogram{.layout = {.digits = 2}, .buckets = {{1, 1}}}));
  EXPECT_EQ(latencies->count(), 5U);
}

}  // namespace
}  // namespace forkecho::client
