#include "client/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <type_traits>
#include <vector>

#include "client/boxed.h"
#include "common/mp/raw_shared.h"

namespace forkecho::client {
namespace {

using Box = Boxed<LatencyHistogram>;

static_assert(mp::Shareable<LatencyHistogram>);
static_assert(std::is_trivially_copyable_v<LatencyHistogram>);
static_assert(std::is_trivially_default_constructible_v<LatencyHistogram>);

std::vector<std::uint64_t> latencies(std::size_t count) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> distribution(11,
                                                   2.5);  // microseconds, with a tail of seconds
  std::vector<std::uint64_t> values(count);
  std::generate(values.begin(), values.end(),
                [&] { return static_cast<std::uint64_t>(distribution(random)); });
  return values;
}

TEST(LatencyHistogram, IsEmptyWhenItsMemoryIsZero) {
  const Box histogram;
  EXPECT_EQ(histogram->count(), 0U);
  EXPECT_EQ(histogram->min(), 0U);
  EXPECT_EQ(histogram->max(), 0U);
  EXPECT_EQ(histogram->mean(), 0);
  EXPECT_EQ(histogram->value_at_quantile(0.5), 0U);
}

TEST(LatencyHistogram, BucketsAreContiguousAndNoWiderThanAThousandth) {
  for (std::size_t bucket = 0; bucket + 1 < LatencyHistogram::buckets; ++bucket) {
    const std::uint64_t low = LatencyHistogram::lowest_of(bucket);
    const std::uint64_t high = LatencyHistogram::highest_of(bucket);
    ASSERT_EQ(LatencyHistogram::bucket_of(low), bucket);
    ASSERT_EQ(LatencyHistogram::bucket_of(high), bucket);
    ASSERT_EQ(LatencyHistogram::lowest_of(bucket + 1), high + 1);
    ASSERT_LE(static_cast<double>(high - low), static_cast<double>(low) / 1000) << bucket;
  }
}

TEST(LatencyHistogram, QuantilesAreExactWithinThreeDigits) {
  std::vector<std::uint64_t> values = latencies(200'000);
  Box histogram;
  for (const std::uint64_t value : values) histogram->record(value);
  std::sort(values.begin(), values.end());
  for (const double quantile : {0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(quantile * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[rank == 0 ? 0 : rank - 1]);
    const auto told = static_cast<double>(histogram->value_at_quantile(quantile));
    EXPECT_GE(told, exact) << quantile;
    EXPECT_LE(told, exact * 1.001) << quantile;
  }
}

TEST(LatencyHistogram, CountMinimumMaximumAndMeanAreExact) {
  const std::vector<std::uint64_t> values = latencies(1000);
  Box histogram;
  double sum = 0;
  for (const std::uint64_t value : values) {
    histogram->record(value);
    sum += static_cast<double>(value);
  }
  EXPECT_EQ(histogram->count(), 1000U);
  EXPECT_EQ(histogram->min(), *std::min_element(values.begin(), values.end()));
  EXPECT_EQ(histogram->max(), *std::max_element(values.begin(), values.end()));
  EXPECT_NEAR(histogram->mean(), sum / 1000, 1e-6 * sum);
  EXPECT_EQ(histogram->value_at_quantile(1), histogram->max());
}

TEST(LatencyHistogram, SmallestLatencyIsZeroAndTheLongestAnHour) {
  Box histogram;
  histogram->record(0);
  EXPECT_EQ(histogram->max(), 0U);
  EXPECT_EQ(histogram->count(), 1U);
  histogram->record(2 * LatencyHistogram::highest_ns);
  EXPECT_EQ(histogram->min(), 0U);
  EXPECT_EQ(histogram->max(), LatencyHistogram::highest_ns);
  EXPECT_EQ(histogram->value_at_quantile(0.5), 0U);
}

TEST(LatencyHistogram, MergingEqualsRecordingAllInOne) {
  const std::vector<std::uint64_t> values = latencies(3000);
  Box one;
  Box parts[3];
  for (std::size_t i = 0; i < values.size(); ++i) {
    one->record(values[i]);
    parts[i % 3]->record(values[i]);
  }
  Box merged;
  for (const Box& part : parts) merged->merge(*part);
  merged->merge(LatencyHistogram{});
  EXPECT_EQ(merged->count(), one->count());
  EXPECT_EQ(merged->min(), one->min());
  EXPECT_EQ(merged->max(), one->max());
  EXPECT_EQ(merged->mean(), one->mean());
  for (std::size_t bucket = 0; bucket < LatencyHistogram::buckets; ++bucket) {
    ASSERT_EQ(merged->count_of(bucket), one->count_of(bucket));
  }
}

TEST(LatencyHistogram, SubtractingLeavesWhatCameSince) {
  Box histogram;
  histogram->record(5);
  histogram->record(1'000'000);
  const Box before = histogram;
  histogram->record(100);
  histogram->record(200);
  histogram->record(300);
  histogram->subtract(*before);
  EXPECT_EQ(histogram->count(), 3U);
  EXPECT_EQ(histogram->min(), 100U);
  EXPECT_EQ(histogram->max(), 300U);
  EXPECT_EQ(histogram->mean(), 200);
  EXPECT_EQ(histogram->value_at_quantile(0.5), 200U);
}

}  // namespace
}  // namespace forkecho::client
