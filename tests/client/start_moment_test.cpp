#include "client/start_moment.h"

#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

TEST(ParseStartMoment, TakesUtcWithAndWithoutDecimals) {
  const WallTime noon{std::chrono::seconds(1795262400)};
  EXPECT_EQ(parse_start_moment("2026-11-21T12:00:00Z"), noon);
  EXPECT_EQ(parse_start_moment("2026-11-21T12:00:00.250Z"), noon + 250ms);
  EXPECT_EQ(parse_start_moment("@1795262400"), noon);
  EXPECT_EQ(parse_start_moment("@1795262400.25"), noon + 250ms);
  EXPECT_EQ(parse_start_moment("@1795262400.000000001"), noon + 1ns);
  EXPECT_EQ(parse_start_moment("@0"), WallTime());
}

TEST(ParseStartMoment, RefusesEverythingElse) {
  for (const char* text :
       {"", "@", "@.5", "@1.", "@-1", "@1e9", "@12345678901", "@1.0123456789", "now", "12:00",
        "2026-11-21T12:00:00", "2026-11-21 12:00:00Z", "2026-11-31T12:00:00Z",
        "2026-11-21T24:00:00Z", "2026-11-21T12:00:00+01:00", "2026-11-21T12:00:00.25Z"}) {
    EXPECT_FALSE(parse_start_moment(text)) << text;
  }
}

TEST(StartMoment, IsWrittenAsItIsRead) {
  const auto moment = parse_start_moment("2026-11-21T12:00:00.250Z");
  ASSERT_TRUE(moment);
  EXPECT_EQ(to_string(*moment), "2026-11-21T12:00:00.250Z");
}

TEST(StartMoment, IsWaitedForByTheWallClock) {
  const auto before = sys::Clock::now();
  const WallTime moment = wall_time_now() + 50ms;
  EXPECT_TRUE(wait_for_moment(moment));
  EXPECT_GE(wall_time_now(), moment);
  EXPECT_GE(sys::Clock::now() - before, 49ms);
  EXPECT_TRUE(wait_for_moment(moment)) << "it has passed";
}

TEST(StartMoment, IsTheSameOnTheMonotonicClock) {
  const auto difference = monotonic(wall_time_now() + 1s) - sys::Clock::now();
  EXPECT_GT(difference, 900ms);
  EXPECT_LT(difference, 1010ms);
}

}  // namespace
}  // namespace forkecho::client
