#include "common/sys/deadline.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace forkecho::sys {
namespace {

using namespace std::chrono_literals;

TEST(Deadline, NeverDoesNotPass) {
  const Deadline never = Deadline::never();
  EXPECT_TRUE(never.is_never());
  EXPECT_FALSE(never.passed());
  EXPECT_EQ(never.remaining(), Duration::max());
  EXPECT_EQ(never.poll_timeout_ms(), -1);
}

TEST(Deadline, ZeroAndLessHavePassed) {
  for (const Duration delay : {Duration(0), Duration(-1h)}) {
    const Deadline deadline = Deadline::after(delay);
    EXPECT_TRUE(deadline.passed());
    EXPECT_EQ(deadline.remaining(), Duration::zero());
    EXPECT_EQ(deadline.poll_timeout_ms(), 0);
  }
}

TEST(Deadline, RemainingCountsDown) {
  const Deadline deadline = Deadline::after(1h);
  EXPECT_FALSE(deadline.passed());
  EXPECT_LE(deadline.remaining(), 1h);
  EXPECT_GT(deadline.remaining(), 59min);
}

TEST(Deadline, AfterTheEndOfTimeIsNever) {
  EXPECT_TRUE(Deadline::after(Duration::max()).is_never());
  EXPECT_FALSE(Deadline::after(24h * 365 * 100).is_never());
}

TEST(Deadline, APollForItDoesNotEndBeforeIt) {
  for (int round = 0; round < 20; ++round) {
    const Deadline deadline = Deadline::after(2500us);
    EXPECT_EQ(poll(nullptr, 0, deadline.poll_timeout_ms()), 0);
    EXPECT_TRUE(deadline.passed());
  }
}

TEST(Deadline, APollTimeoutStopsAtTheLargestInteger) {
  EXPECT_EQ(Deadline::after(24h * 365).poll_timeout_ms(), INT_MAX);
}

TEST(Deadline, ATimespecIsOfTheMonotonicClock) {
  timespec now{};
  ASSERT_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
  const timespec until = Deadline::after(100s).to_timespec();
  EXPECT_GE(until.tv_sec, now.tv_sec + 100);
  EXPECT_LE(until.tv_sec, now.tv_sec + 130);
  EXPECT_GE(until.tv_nsec, 0);
  EXPECT_LT(until.tv_nsec, 1'000'000'000);
}

TEST(Deadline, ATimespecKeepsTheNanoseconds) {
  const timespec exact = Deadline::at(Clock::time_point(5s + 7ns)).to_timespec();
  EXPECT_EQ(exact.tv_sec, 5);
  EXPECT_EQ(exact.tv_nsec, 7);
}

TEST(Deadline, EarlierPicksTheFirst) {
  const Deadline soon = Deadline::after(1s);
  EXPECT_EQ(earlier(soon, Deadline::never()).when(), soon.when());
  EXPECT_EQ(earlier(Deadline::never(), soon).when(), soon.when());
}

}  // namespace
}  // namespace forkecho::sys
