#include "server/fork_times.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

TEST(ForkTimeBucket, ABoundBelongsToItsOwnBucketAndTheNextNanosecondToTheNext) {
  for (std::size_t i = 0; i < fork_time_bounds; ++i) {
    EXPECT_EQ(fork_time_bucket(fork_time_bound(i)), i);
    EXPECT_EQ(fork_time_bucket(fork_time_bound(i) + 1ns), i + 1);
  }
}

TEST(ForkTimeBucket, BoundsDoubleFromTenMicroseconds) {
  EXPECT_EQ(fork_time_bound(0), 10us);
  EXPECT_EQ(fork_time_bound(1), 20us);
  EXPECT_EQ(fork_time_bound(fork_time_bounds - 1), 163'840us);
}

TEST(ForkTimeBucket, WhateverAClockSaysHasABucket) {
  EXPECT_EQ(fork_time_bucket(0ns), 0U);
  EXPECT_EQ(fork_time_bucket(-5s), 0U);
  EXPECT_EQ(fork_time_bucket(sys::Duration::min()), 0U);
  EXPECT_EQ(fork_time_bucket(1h), fork_time_bounds);
  EXPECT_EQ(fork_time_bucket(sys::Duration::max()), fork_time_bounds);
}

TEST(ForkTimes, RecordsWhereAndHowMuch) {
  ForkTimes times;
  times.record(10us);
  times.record(15us);
  times.record(16us);
  times.record(1s);
  const ForkTimeTotals totals = times.read();
  EXPECT_EQ(totals.buckets[0], 1U);
  EXPECT_EQ(totals.buckets[1], 2U);
  EXPECT_EQ(totals.buckets[fork_time_bounds], 1U);
  EXPECT_EQ(totals.count(), 4U);
  EXPECT_EQ(totals.sum_ns, 1'000'041'000U);
}

TEST(ForkTimes, ATimeBelowZeroAddsNothingToTheSum) {
  ForkTimes times;
  times.record(-1s);
  EXPECT_EQ(times.read().sum_ns, 0U);
  EXPECT_EQ(times.read().count(), 1U);
}

TEST(ForkTimeTotals, Add) {
  ForkTimeTotals all;
  ForkTimeTotals some;
  some.buckets[3] = 2;
  some.sum_ns = 70;
  all += some;
  all += some;
  EXPECT_EQ(all.buckets[3], 4U);
  EXPECT_EQ(all.sum_ns, 140U);
}

}  // namespace
}  // namespace forkecho::server
