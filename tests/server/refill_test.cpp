#include "server/refill.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using TimePoint = Refill::TimePoint;

constexpr TimePoint now{1h};

/// All spares were forked, and none was taken since.
Refill after_a_decision() {
  Refill refill;
  refill.decided(false, now);
  return refill;
}

TEST(Refill, IsDueAtTheBeginning) {
  EXPECT_TRUE(Refill().is_due(true, now));
  EXPECT_TRUE(Refill().is_due(false, now));
}

TEST(Refill, IsDueNoMoreWhenThereAreEnough) {
  const Refill refill = after_a_decision();
  EXPECT_FALSE(refill.is_due(true, now + 1h));
  EXPECT_EQ(refill.next(now), TimePoint::max());
}

TEST(Refill, IsDueWhateverTheMomentWhereTooFewAreLeft) {
  EXPECT_TRUE(after_a_decision().is_due(false, now));
}

TEST(Refill, WaitsForAMomentAfterOneWasTaken) {
  Refill refill = after_a_decision();
  refill.taken(1, now);
  EXPECT_FALSE(refill.is_due(true, now + Refill::patience - 1ns));
  EXPECT_TRUE(refill.is_due(true, now + Refill::patience));
  EXPECT_EQ(refill.next(now), now + Refill::patience);
  refill.taken(1, now + 1ms);
  EXPECT_EQ(refill.next(now), now + Refill::patience) << "the second puts off nothing";
}

TEST(Refill, IsDueAtOnceWhenOneHasServed) {
  Refill refill = after_a_decision();
  refill.taken(1, now);
  refill.at_once();
  EXPECT_TRUE(refill.is_due(true, now));
}

TEST(Refill, GoesOnSoonWhereSomeWereForked) {
  Refill refill;
  refill.decided(true, now);
  EXPECT_FALSE(refill.is_due(true, now));
  EXPECT_EQ(refill.next(now), now + Refill::patience);
}

TEST(Refill, RestsWhileClientsComeTooFast) {
  Refill refill;
  TimePoint last = now;
  for (int i = 0; i < 100; ++i) {
    refill.client_came(last += 150us);
    refill.forked(100us);
  }
  EXPECT_FALSE(refill.is_due(false, last));
  EXPECT_EQ(refill.next(last), last + Pace::calm);
  EXPECT_TRUE(refill.is_due(false, last + Pace::calm));
}

/// A client that a spare took is a client, too.
TEST(Refill, RestsWhileSparesAreTakenTooFast) {
  Refill refill;
  refill.forked(100us);
  TimePoint last = now;
  for (int i = 0; i < 100; ++i) refill.taken(2, last += 200us);
  EXPECT_FALSE(refill.is_due(false, last));
}

TEST(Refill, PausesWhereSparesDieBeforeTheyServe) {
  Refill refill;
  EXPECT_EQ(refill.died_early(false, false, now), Backoff::first);
  EXPECT_FALSE(refill.is_due(false, now + Backoff::first - 1ns));
  EXPECT_TRUE(refill.is_due(false, now + Backoff::first));
  EXPECT_EQ(refill.next(now), now + Backoff::first);
  EXPECT_EQ(refill.died_early(false, false, now), Backoff::Seconds::zero())
      << "forked before the pause began";
  EXPECT_EQ(refill.died_early(false, false, now + Backoff::first), 2 * Backoff::first);
  EXPECT_EQ(refill.next(now), now + 3 * Backoff::first);
}

TEST(Refill, AKillIsForgivenWhileOthersAreWell) {
  Refill refill;
  EXPECT_EQ(refill.died_early(true, true, now), Backoff::Seconds::zero());
  EXPECT_TRUE(refill.is_due(false, now));
}

TEST(Refill, OneThatServesEndsTheMisfortune) {
  Refill refill;
  refill.died_early(false, false, now);
  refill.taken(1, now + 1min);
  EXPECT_EQ(refill.died_early(false, false, now + 2min), Backoff::first);
}

}  // namespace
}  // namespace forkecho::server
