#include "common/mp/event.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/kill_rounds.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

TEST(EventKilled, SettersAndWaitersAtAnyMoment) {
  PROVES("0.5");
  Event event;
  tests::Survivors setters;
  tests::Survivors waiters;
  waiters.start(3, [&] { return event.wait(tests::patience()) ? 0 : 1; });
  setters.start(1, [&] {
    event.set();
    event.clear();
    return 0;
  });
  const auto set_and_clear = [&] {
    event.set();
    event.clear();
  };
  const auto wait = [&] { event.wait(); };
  const int times = tests::soak(100, 1000);
  for (const char* const step : {"event.set.stored", "event.clear.stored"})
    tests::kill_each_at(step, times, set_and_clear);
  for (const char* const step : {"event.wait.waiting", "event.wait.woken"})
    tests::kill_each_at(step, times, wait);
  tests::kill_each_at_random(tests::soak(300, 3000), set_and_clear);
  tests::kill_each_at_random(tests::soak(300, 3000), wait);
  setters.stop();
  waiters.tell_to_stop();
  event.set();
  waiters.stop();
  EXPECT_TRUE(event.is_set());
}

TEST(EventKilled, AWakeUpThatWasNeverSentDelaysByTheLongestSleepAtMost) {
  Event event;
  const tests::KillCount kills;
  for (int i = 0; i < 10; ++i) {
    const pid_t waiter = tests::start_child([&] { return event.wait(tests::patience()) ? 0 : 1; });
    ASSERT_EQ(tests::exitcode_in_child([&] {
                tests::kill_at_step("event.set.stored", kills);
                event.set();
                return 0;
              }),
              -SIGKILL);
    EXPECT_EQ(tests::exitcode_of(waiter), 0);
    event.clear();
  }
  EXPECT_EQ(kills.count(), 10U);
}

}  // namespace
}  // namespace forkecho::mp
