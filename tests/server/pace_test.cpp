#include "server/pace.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using TimePoint = sys::Clock::time_point;

/// A pace at which forks take `fork`, after 100 clients, `gap` apart; and the moment of the last.
struct Told {
  Pace pace;
  TimePoint now{1h};
  Told(sys::Duration fork, sys::Duration gap) {
    for (int i = 0; i < 100; ++i) {
      now += gap;
      pace.came(1, now);
      pace.forked(fork);
    }
  }
  bool is_hurried(sys::Duration later = 0s) const { return pace.is_hurried(now + later); }
};

TEST(Pace, IsCalmUntilThereIsSomethingToTellBy) {
  EXPECT_FALSE(Pace().is_hurried(TimePoint(1h)));
}

TEST(Pace, IsHurriedWhereTwoClientsComeFasterThanFiveForks) {
  EXPECT_TRUE(Told(100us, 150us).is_hurried());
  EXPECT_TRUE(Told(100us, 240us).is_hurried());
  EXPECT_FALSE(Told(100us, 260us).is_hurried());
  EXPECT_FALSE(Told(100us, 2ms).is_hurried());
}

TEST(Pace, ManyAtOnceAreManyClients) {
  Told told(100us, 2ms);
  for (int i = 0; i < 20; ++i) told.pace.came(16, told.now += 1ms);
  EXPECT_TRUE(told.is_hurried());
}

TEST(Pace, IsCalmAgainAfterAWhileWithoutClients) {
  const Told told(100us, 150us);
  EXPECT_TRUE(told.is_hurried(Pace::calm - 1us));
  EXPECT_FALSE(told.is_hurried(Pace::calm));
  EXPECT_EQ(told.pace.calm_at(), told.now + Pace::calm);
}

TEST(Pace, OneSilenceDoesNotMakeItForgetWhatItKnows) {
  Told told(100us, 150us);
  told.pace.came(1, told.now += 1min);
  told.pace.came(1, told.now += 150us);
  EXPECT_FALSE(told.is_hurried());
  for (int i = 0; i < 24; ++i) told.pace.came(1, told.now += 150us);
  EXPECT_TRUE(told.is_hurried());
}

}  // namespace
}  // namespace forkecho::server
