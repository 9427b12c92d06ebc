#include "common/mp/event.h"

#include <gtest/gtest.h>

#include <csignal>
#include <thread>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

const auto at_once = sys::Deadline::immediately();

bool sleeps_now(pid_t pid) {
  return tests::eventually(tests::patience(), [&] { return tests::state_of(pid) == 'S'; });
}

TEST(Event, IsWaitedForSetAndCleared) {
  PROVES("1.5", "2.1", "cpython:test_event");
  Event event;
  EXPECT_FALSE(event.is_set());
  EXPECT_FALSE(event.wait(at_once));
  for (const int ms : {5, 80}) {  // below and above the longest sleep
    const auto deadline = sys::Deadline::after(std::chrono::milliseconds(ms));
    EXPECT_FALSE(event.wait(deadline));
    EXPECT_TRUE(deadline.passed());
  }
  event.set();
  event.set();
  EXPECT_TRUE(event.is_set());
  EXPECT_TRUE(event.wait());
  EXPECT_TRUE(event.wait(at_once));
  event.clear();
  event.clear();
  EXPECT_FALSE(event.is_set());
  EXPECT_FALSE(event.wait(at_once));
  const pid_t setter = tests::start_child([&] {
    event.set();
    return 0;
  });
  EXPECT_TRUE(event.wait(tests::patience()));
  EXPECT_EQ(tests::exitcode_of(setter), 0);
}

TEST(Event, WakesAllWhoWait) {
  Event event;
  std::vector<pid_t> waiters;
  for (int i = 0; i < 5; ++i) {
    waiters.push_back(tests::start_child([&] { return event.wait(tests::patience()) ? 0 : 1; }));
  }
  for (const pid_t waiter : waiters) EXPECT_TRUE(sleeps_now(waiter));
  event.set();
  for (const pid_t waiter : waiters) EXPECT_EQ(tests::exitcode_of(waiter), 0);
}

// The waiter is stopped meanwhile, so that it cannot see the flag while it is set.
TEST(Event, AWaiterSeesASetThatIsClearedAtOnce) {
  Event event;
  const pid_t waiter = tests::start_child([&] { return event.wait(tests::patience()) ? 0 : 1; });
  EXPECT_TRUE(sleeps_now(waiter));
  EXPECT_TRUE(tests::stop_all({waiter}));
  event.set();
  event.clear();
  kill(waiter, SIGCONT);
  EXPECT_EQ(tests::exitcode_of(waiter), 0);
}

TEST(Event, AWaitThatBeginsAfterTheClearWaits) {
  Event event;
  event.set();
  event.clear();
  EXPECT_FALSE(event.wait(sys::Deadline::after(std::chrono::milliseconds(5))));
}

TEST(Event, CanBeSetInASignalHandler) {
  static Event* handled = nullptr;
  Event event;
  handled = &event;
  const auto before = std::signal(SIGUSR1, [](int) { handled->set(); });
  const pid_t sender = tests::start_child([] { return kill(getppid(), SIGUSR1); });
  EXPECT_TRUE(event.wait(tests::patience()));  // interrupted by the handler that ends the wait
  EXPECT_EQ(tests::exitcode_of(sender), 0);
  std::signal(SIGUSR1, before);
}

TEST(Event, WorksBetweenThreads) {
  Event event;
  std::thread waiter([&] { EXPECT_TRUE(event.wait(tests::patience())); });
  event.set();
  waiter.join();
}

TEST(Event, AKilledWaiterHoldsNobodyUp) {
  PROVES("0.5");
  Event event;
  const pid_t killed = tests::start_child([&] { return event.wait(tests::patience()) ? 0 : 1; });
  const pid_t waiter = tests::start_child([&] { return event.wait(tests::patience()) ? 0 : 1; });
  EXPECT_TRUE(sleeps_now(killed));
  kill(killed, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(killed), -SIGKILL);
  event.set();
  EXPECT_EQ(tests::exitcode_of(waiter), 0);
}

}  // namespace
}  // namespace forkecho::mp
