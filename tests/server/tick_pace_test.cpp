#include "server/tick_pace.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

TEST(TickPace, IsSlowWhereNothingHappens) {
  EXPECT_EQ(time_to_next_tick({}), quiet_tick);
  EXPECT_EQ(time_to_next_tick({.longest = 300ms}), 300ms) << "for the service manager";
}

TEST(TickPace, IsFasterTheMoreUrgentItIs) {
  TickFacts facts{.longest = 10ms};
  facts.looks_early = true;
  EXPECT_EQ(time_to_next_tick(facts), busy_tick);
  EXPECT_EQ(time_to_next_tick({.is_busy = true}), busy_tick);
  facts.closes_doors = true;
  EXPECT_EQ(time_to_next_tick(facts), drain_tick);
  facts.is_replacing = true;
  EXPECT_EQ(time_to_next_tick(facts), replacing_tick);
}

TEST(TickPace, OnTheWayOutIsTheSameWhateverElseHappens) {
  for (const State state : {State::draining, State::finishing, State::ending})
    EXPECT_EQ(time_to_next_tick({.state = state, .is_replacing = true, .is_busy = true}),
              drain_tick);
}

}  // namespace
}  // namespace forkecho::server
