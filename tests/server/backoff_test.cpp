#include "server/backoff.h"

#include <gtest/gtest.h>

#include <vector>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using Pauses = std::vector<Backoff::Seconds>;

constexpr EarlyDeath by_its_fault{};
constexpr EarlyDeath killed{.killed = true};
constexpr EarlyDeath killed_among_others{.killed = true, .others_are_well = true};

Pauses pauses_after(Backoff& backoff, const std::vector<EarlyDeath>& deaths) {
  Pauses pauses;
  for (const EarlyDeath& death : deaths) pauses.push_back(backoff.after(death));
  return pauses;
}

Pauses pauses_after(Backoff& backoff, std::size_t deaths, EarlyDeath death) {
  return pauses_after(backoff, std::vector(deaths, death));
}

TEST(Backoff, DoublesFromTwoSecondsToSixty) {
  Backoff backoff;
  EXPECT_EQ(pauses_after(backoff, 7, by_its_fault), (Pauses{2s, 4s, 8s, 16s, 32s, 60s, 60s}));
}

TEST(Backoff, ItsOwnFaultIsNoOtherThoughOthersAreWell) {
  Backoff backoff;
  EXPECT_EQ(pauses_after(backoff, 2, {.killed = false, .others_are_well = true}), (Pauses{2s, 4s}));
}

TEST(Backoff, ForgivesThreeKills) {
  Backoff backoff;
  EXPECT_EQ(pauses_after(backoff, 5, killed), (Pauses{0s, 0s, 0s, 2s, 4s}));
}

TEST(Backoff, ForgivesEveryKillWhileOthersAreWell) {
  Backoff backoff;
  EXPECT_EQ(pauses_after(backoff, 100, killed_among_others), Pauses(100, 0s));
  EXPECT_EQ(pauses_after(backoff, 4, killed), (Pauses{0s, 0s, 0s, 2s}));
}

TEST(Backoff, ForgivesNoKillOnceItHasPaused) {
  Backoff backoff;
  EXPECT_EQ(backoff.after(by_its_fault), 2s);
  EXPECT_EQ(backoff.after(killed), 4s);
}

/// A whole pool that is killed at once is one misfortune, and one that cannot start, too.
TEST(Backoff, TheSameMisfortuneCountsOnce) {
  Backoff backoff;
  const EarlyDeath with_it{.killed = true, .started_before_last = true};
  EXPECT_EQ(pauses_after(backoff, {killed, with_it, with_it, with_it, killed, killed, killed}),
            (Pauses{0s, 0s, 0s, 0s, 0s, 0s, 2s}));
  Backoff faulty;
  const EarlyDeath also{.started_before_last = true};
  EXPECT_EQ(pauses_after(faulty, {by_its_fault, also, also, by_its_fault}),
            (Pauses{2s, 0s, 0s, 4s}));
  Backoff first;
  EXPECT_EQ(pauses_after(first, {also}), Pauses{2s}) << "a fault is never overlooked";
}

TEST(Backoff, StartsAnewAfterASuccess) {
  Backoff backoff;
  pauses_after(backoff, 6, killed);
  backoff.succeeded();
  EXPECT_EQ(pauses_after(backoff, 4, killed), (Pauses{0s, 0s, 0s, 2s}));
}

}  // namespace
}  // namespace forkecho::server
