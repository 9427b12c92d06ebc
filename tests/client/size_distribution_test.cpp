#include "client/size_distribution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace forkecho::client {
namespace {

std::size_t count(const std::vector<std::size_t>& sizes, std::size_t size) {
  return static_cast<std::size_t>(std::count(sizes.begin(), sizes.end(), size));
}

TEST(SizeDistribution, OneNumberIsAllAlike) {
  const auto sizes = SizeDistribution::parse("100");
  ASSERT_TRUE(sizes);
  EXPECT_EQ(sizes->fixed(), 100U);
  EXPECT_EQ(sizes->draw(), std::vector<std::size_t>(26, 100));
  EXPECT_EQ(SizeDistribution(40 << 20).draw().size(), 2U);
}

TEST(SizeDistribution, RangeIsEven) {
  const auto sizes = SizeDistribution::parse("1-4");
  ASSERT_TRUE(sizes);
  EXPECT_FALSE(sizes->fixed());
  EXPECT_EQ(sizes->mean(), 2.5);
  const auto drawn = sizes->draw();
  EXPECT_GE(drawn.size(), 26U);
  for (std::size_t size : {1U, 2U, 3U, 4U}) EXPECT_EQ(count(drawn, size), drawn.size() / 4) << size;
}

TEST(SizeDistribution, WideRangeHasBothEndsAndItsMean) {
  const auto drawn = SizeDistribution::parse("10-100010")->draw();
  EXPECT_EQ(*std::min_element(drawn.begin(), drawn.end()), 10U);
  EXPECT_EQ(*std::max_element(drawn.begin(), drawn.end()), 100'010U);
  const double mean =
      std::accumulate(drawn.begin(), drawn.end(), 0.0) / static_cast<double>(drawn.size());
  EXPECT_NEAR(mean, 50'010, 60);
  EXPECT_FALSE(std::is_sorted(drawn.begin(), drawn.end()));
}

TEST(SizeDistribution, WeightsHoldExactly) {
  const auto sizes = SizeDistribution::parse("64:90,4096:10");
  ASSERT_TRUE(sizes);
  EXPECT_EQ(sizes->to_string(), "64:9,4096:1");
  const auto drawn = sizes->draw();
  EXPECT_EQ(drawn.size(), 30U);
  EXPECT_EQ(count(drawn, 64), 27U);
  EXPECT_EQ(count(drawn, 4096), 3U);
  EXPECT_DOUBLE_EQ(sizes->mean(), 467.2);
}

TEST(SizeDistribution, IsWrittenAsItIsRead) {
  for (const char* text : {"64", "64-4096", "1:1,2:2", "10:1,20:3,30:5"}) {
    EXPECT_EQ(SizeDistribution::parse(text)->to_string(), text);
  }
  EXPECT_EQ(SizeDistribution::parse("7:3,7:4")->to_string(), "7");
  EXPECT_EQ(SizeDistribution::parse("7-7")->to_string(), "7");
}

TEST(SizeDistribution, EverythingElseIsRefused) {
  for (const char* text : {"",
                           "0",
                           "x",
                           "-1",
                           "1-",
                           "-",
                           "5-4",
                           "0-4",
                           "1.5",
                           "64:",
                           "64:0",
                           ":1",
                           "64:1,",
                           ",64:1",
                           "64,32",
                           "64:1,32",
                           "1:20000,2:1",
                           "268435457",
                           "1-268435457",
                           "268435456:9,1:1",
                           "64:99999999999999999999",
                           "64 ",
                           "+5"}) {
    EXPECT_FALSE(SizeDistribution::parse(text)) << text;
  }
}

}  // namespace
}  // namespace forkecho::client
