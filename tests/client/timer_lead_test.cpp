#include "client/timer_lead.h"

#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

TEST(TimerLead, IsNothingBeforeAnythingWasSeen) {
  EXPECT_EQ(TimerLead().get(), 0ns);
}

TEST(TimerLead, ComesToALatenessThatStays) {
  TimerLead lead;
  for (int i = 0; i < 1000; ++i) lead.saw(20us);
  EXPECT_NEAR(static_cast<double>(lead.get().count()), 20'000, 1000);
  for (int i = 0; i < 1000; ++i) lead.saw(3us);
  EXPECT_NEAR(static_cast<double>(lead.get().count()), 3'000, 1000);
}

TEST(TimerLead, KeepsToTheLeastLate) {
  TimerLead lead;
  for (int i = 0; i < 10'000; ++i) lead.saw(i % 8 == 0 ? 15us : 40us);
  EXPECT_GT(lead.get(), 12us);
  EXPECT_LT(lead.get(), 17us);
}

TEST(TimerLead, AHiccupMovesItByAStep) {
  TimerLead lead;
  for (int i = 0; i < 1000; ++i) lead.saw(20us);
  const auto before = lead.get();
  lead.saw(5ms);
  EXPECT_LT(lead.get() - before, 1us);
}

TEST(TimerLead, HasALimit) {
  TimerLead lead;
  for (int i = 0; i < 10'000; ++i) lead.saw(10ms);
  EXPECT_EQ(lead.get(), TimerLead::longest);
  for (int i = 0; i < 10'000; ++i) lead.saw(0ns);
  EXPECT_EQ(lead.get(), 0ns);
}

}  // namespace
}  // namespace forkecho::client
