#include "common/mp/condition.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/eventually.h"
#include "tests/support/kill_rounds.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

/// Tokens that producers put down one at a time, each announced to one consumer, and none before
/// the last was taken: a notification that is lost once holds everybody up.
struct Table {
  std::atomic<int> tokens;
  std::atomic<long> produced;
  std::atomic<long> consumed;
};

class Exchange {
 public:
  int consume(sys::Deadline deadline = tests::patience()) {
    const LockGuard guard(arrived_);
    const Waited waited = arrived_.wait_for([&] { return table_->tokens > 0; }, deadline);
    if (!waited) return 1;
    --table_->tokens;
    FORKECHO_MP_STEP("test.condition.consumed");
    ++table_->consumed;
    taken_.notify();
    return 0;
  }

  int produce(sys::Deadline deadline = tests::patience()) {
    const LockGuard guard(taken_);
    const Waited waited = taken_.wait_for([&] { return table_->tokens == 0; }, deadline);
    if (!waited) return 1;
    ++table_->tokens;
    FORKECHO_MP_STEP("test.condition.produced");
    ++table_->produced;
    arrived_.notify();
    return 0;
  }

  const Table& table() const { return *table_; }

 private:
  RLock lock_;
  Condition arrived_{lock_};
  Condition taken_{lock_};
  RawValue<Table> table_;
};

TEST(ConditionKilled, WaitersAndNotifiersAtAnyMoment) {
  PROVES("0.5");
  Exchange exchange;
  tests::Survivors consumers;
  tests::Survivors producers;
  consumers.start(2, [&] { return exchange.consume(); });
  producers.start(2, [&] { return exchange.produce(); });
  const auto consume = [&] { exchange.consume(); };
  const auto produce = [&] { exchange.produce(); };
  const int times = tests::soak(40, 400);
  for (const char* const step :
       {"condition.wait.entering", "condition.wait.registered", "condition.wait.released",
        "condition.wait.looking", "condition.wait.woken", "condition.wait.retaken",
        "condition.notify.marked"}) {
    tests::kill_each_at(step, times, consume);
    tests::kill_each_at(step, times, produce);
  }
  tests::kill_each_at("test.condition.consumed", times, consume);
  tests::kill_each_at("test.condition.produced", times, produce);
  tests::kill_each_at_random(tests::soak(250, 2500), consume);
  tests::kill_each_at_random(tests::soak(250, 2500), produce);
  const long before = exchange.table().consumed;
  EXPECT_TRUE(tests::eventually(tests::patience(),
                                [&] { return exchange.table().consumed > before + 10; }));
  // For the last of each side there may be nobody left on the other.
  consumers.tell_to_stop();
  producers.tell_to_stop();
  tests::Survivors helpers;
  const auto soon = [] { return sys::Deadline::after(std::chrono::milliseconds(5)); };
  helpers.start(1, [&] {
    exchange.consume(soon());
    exchange.produce(soon());
    return 0;
  });
  consumers.stop();
  producers.stop();
}

/// Waiters of which one is killed at a chosen step, and a notification that another must get.
void notify_one_of_which_one_dies(const char* step) {
  Condition condition;
  const tests::KillCount kills;
  const RawValue<std::atomic<unsigned>> waiting;
  const RawValue<std::atomic<unsigned>> woken;
  const auto wait = [&] {
    const LockGuard guard(condition);
    ++*waiting;
    const Waited waited = condition.wait(tests::patience());
    if (waited) ++*woken;
    return waited ? 0 : 1;
  };
  const auto reaches = [](const RawValue<std::atomic<unsigned>>& number, unsigned value) {
    return tests::eventually(tests::patience(), [&] { return *number == value; });
  };
  const pid_t victim = tests::start_child([&] {
    tests::kill_at_step(step, kills);
    return wait();
  });
  ASSERT_TRUE(reaches(waiting, 1));
  const pid_t heir = tests::start_child(wait);
  ASSERT_TRUE(reaches(waiting, 2));
  const pid_t last = tests::start_child(wait);
  ASSERT_TRUE(reaches(waiting, 3));
  {
    const LockGuard guard(condition);
    condition.notify(1);
  }
  ASSERT_EQ(tests::exitcode_of(victim), -SIGKILL);
  EXPECT_EQ(kills.count(), 1U);
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] { return *woken >= 1; }));
  {
    const LockGuard guard(condition);
    condition.notify(1);
  }
  EXPECT_TRUE(reaches(woken, 2));
  EXPECT_EQ(tests::exitcode_of(heir), 0);
  EXPECT_EQ(tests::exitcode_of(last), 0);
}

TEST(ConditionKilled, ANotificationIsHandedOnByTheNextWhenItsReceiverIsKilled) {
  for (int i = 0; i < tests::soak(5, 50); ++i) {
    notify_one_of_which_one_dies("condition.wait.woken");
    notify_one_of_which_one_dies("condition.wait.retaken");
  }
}

// The first is notified and killed; who hands its notification on is killed as well, when it has
// marked the heir and not freed the row of the dead: it is not handed on once more.
TEST(ConditionKilled, WhoHandsANotificationOnMayBeKilledToo) {
  Condition condition;
  const tests::KillCount kills;
  const RawValue<std::atomic<unsigned>> waiting;
  const RawValue<std::atomic<unsigned>> woken;
  const auto start_waiter = [&](const char* killed_at) {
    const unsigned before = *waiting;
    const pid_t pid = tests::start_child([&] {
      tests::kill_at_step(killed_at, kills);
      const LockGuard guard(condition);
      ++*waiting;
      const Waited waited = condition.wait(tests::patience());
      if (waited) ++*woken;
      return waited ? 0 : 1;
    });
    EXPECT_TRUE(tests::eventually(tests::patience(), [&] { return *waiting == before + 1; }));
    return pid;
  };
  const pid_t receiver = start_waiter("none");
  const pid_t heir = start_waiter("none");
  const pid_t last = start_waiter("none");
  {
    const LockGuard all_wait(condition);
    ASSERT_TRUE(tests::stop_all({heir, last}));  // so that neither can hand anything on
    condition.notify();
    kill(receiver, SIGKILL);
    ASSERT_EQ(tests::exitcode_of(receiver), -SIGKILL);
  }
  ASSERT_EQ(tests::exitcode_of(start_waiter("condition.hand_on.marked")), -SIGKILL);
  ASSERT_EQ(kills.count(), 1U);
  kill(heir, SIGCONT);
  kill(last, SIGCONT);
  EXPECT_EQ(tests::exitcode_of(heir), 0);
  EXPECT_FALSE(mp::reap_before(last, sys::Deadline::after(4 * longest_sleep)));
  EXPECT_EQ(*woken, 1U);
  {
    const LockGuard guard(condition);
    condition.notify();
  }
  EXPECT_EQ(tests::exitcode_of(last), 0);
}

}  // namespace
}  // namespace forkecho::mp
