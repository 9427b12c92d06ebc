#include "server/accept_rate.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using TimePoint = AcceptRate::TimePoint;
constexpr TimePoint start{1000s};

int taken_at(AcceptRate& rate, TimePoint when) {
  int taken = 0;
  while (rate.take(when)) ++taken;
  return taken;
}

TEST(AcceptRate, ABurstThenOneInEachInterval) {
  std::atomic<std::int64_t> word{0};
  AcceptRate rate(word, 10, 3);
  EXPECT_LE(rate.ready_at(start), start);
  EXPECT_EQ(taken_at(rate, start), 3);
  EXPECT_EQ(rate.ready_at(start), start + 100ms);
  EXPECT_EQ(taken_at(rate, start + 99ms), 0);
  EXPECT_EQ(taken_at(rate, start + 100ms), 1);
  EXPECT_EQ(taken_at(rate, start + 100ms), 0);
  EXPECT_EQ(taken_at(rate, start + 350ms), 2);
}

TEST(AcceptRate, WhatWasNotUsedIsSavedUpToTheBurstAndNoFurther) {
  std::atomic<std::int64_t> word{0};
  AcceptRate rate(word, 1000, 50);
  EXPECT_EQ(taken_at(rate, start), 50);
  EXPECT_EQ(taken_at(rate, start + 20ms), 20);
  EXPECT_EQ(taken_at(rate, start + 1h), 50);
}

TEST(AcceptRate, OverALongTimeItIsExact) {
  for (const std::uint32_t per_second : {1U, 3U, 7U, 1000U}) {
    std::atomic<std::int64_t> word{0};
    AcceptRate rate(word, per_second, 1);
    int taken = 0;
    for (TimePoint now = start; now < start + 10s; now += 100us) taken += taken_at(rate, now);
    EXPECT_NEAR(taken, 10 * static_cast<int>(per_second), 1) << per_second;
  }
}

TEST(AcceptRate, ATokenGivenBackIsThereAgain) {
  std::atomic<std::int64_t> word{0};
  AcceptRate rate(word, 1, 1);
  ASSERT_TRUE(rate.take(start));
  EXPECT_FALSE(rate.take(start));
  rate.give_back();
  EXPECT_TRUE(rate.take(start));
  EXPECT_FALSE(rate.take(start));
}

TEST(AcceptRate, NonsenseInTheWordIsAtMostAnEmptyBucket) {
  for (const std::int64_t nonsense :
       {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min(),
        std::int64_t{-1}, (start + 1h).time_since_epoch().count()}) {
    std::atomic<std::int64_t> word{nonsense};
    AcceptRate rate(word, 10, 2);
    EXPECT_LE(taken_at(rate, start), 2);
    EXPECT_LE(rate.ready_at(start), start + 100ms);
    EXPECT_EQ(taken_at(rate, start + 1s), 2);
  }
}

TEST(AcceptRate, GoesOnWhereAnotherWordHasGotTo) {
  std::atomic<std::int64_t> old_word{0};
  AcceptRate elder(old_word, 10, 5);
  EXPECT_EQ(taken_at(elder, start), 5);
  std::atomic<std::int64_t> word{0};
  AcceptRate rate(word, 10, 5);
  rate.take_over(old_word);
  EXPECT_EQ(taken_at(rate, start), 0);
  EXPECT_EQ(taken_at(rate, start + 100ms), 1);
  rate.take_over(old_word);  // which is behind now
  EXPECT_EQ(taken_at(rate, start + 100ms), 0);
}

/// Never more over all, and none lost: every process takes what it can from one and the same
/// moment.
TEST(AcceptRate, SeveralProcessesShareOneBucket) {
  constexpr int burst = 20000;
  const mp::RawValue<std::atomic<std::int64_t>> word;
  const mp::RawArray<std::atomic<int>> taken(3);
  tests::Gate go;
  std::vector<mp::Process> takers;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    takers.emplace_back([&, i] {
      go.pass();
      AcceptRate rate(*word, 1, burst);
      taken[i] = taken_at(rate, start);
    });
    takers.back().start();
  }
  go.open();
  for (mp::Process& taker : takers) ASSERT_TRUE(taker.join(tests::patience()));
  int sum = 0;
  for (const auto& count : taken.all()) sum += count;
  EXPECT_EQ(sum, burst);
}

}  // namespace
}  // namespace forkecho::server
