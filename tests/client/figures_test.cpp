#include "client/figures.h"

#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

TEST(FormatCount, SetsThousandsApart) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(1234567.6), "1,234,568");
  EXPECT_EQ(format_count(-1234), "-1,234");
  EXPECT_EQ(format_count(-123), "-123");
}

TEST(FormatThreeDigits, KeepsThree) {
  EXPECT_EQ(format_three_digits(41.26), "41.3");
  EXPECT_EQ(format_three_digits(181.2), "181");
  EXPECT_EQ(format_three_digits(12345), "12,345");
  EXPECT_EQ(format_three_digits(0.04123), "0.0412");
  EXPECT_EQ(format_three_digits(0), "0");
  EXPECT_EQ(format_three_digits(9.996), "10.0");
  EXPECT_EQ(format_three_digits(99.96), "100");
  EXPECT_EQ(format_three_digits(999.6), "1,000");
}

TEST(FormatLatency, ChoosesTheUnit) {
  EXPECT_EQ(format_latency(0), "0 ns");
  EXPECT_EQ(format_latency(999), "999 ns");
  EXPECT_EQ(format_latency(1000), "1.00 µs");
  EXPECT_EQ(format_latency(41'260), "41.3 µs");
  EXPECT_EQ(format_latency(999'999), "1.00 ms");
  EXPECT_EQ(format_latency(2'500'000'000), "2.50 s");
}

TEST(FormatBytes, CountsInPowersOfTwo) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(640 * 1024), "640 KiB");
  EXPECT_EQ(format_bytes(9'856'614), "9.40 MiB");
  EXPECT_EQ(format_bytes(3ULL << 29), "1.50 GiB");
}

TEST(FormatRatio, HasTwoDecimals) {
  EXPECT_EQ(format_ratio(0.966), "0.97×");
}

TEST(DisplayWidth, CountsCodePoints) {
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(display_width("µs × –"), 6U);
}

}  // namespace
}  // namespace forkecho::client
