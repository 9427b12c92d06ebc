#include "common/mp/condition.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <deque>
#include <stdexcept>
#include <thread>
#include <vector>

#include "common/mp/shared.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using Counter = RawValue<std::atomic<int>>;

bool reaches(const Counter& counter, int value) {
  return tests::eventually(tests::patience(), [&] { return *counter == value; });
}

/// Waiters of one condition, processes and threads in turn: how many sleep, and how many woke.
class Waiters {
 public:
  explicit Waiters(Condition& condition) : condition_(condition) {}
  Waiters(const Waiters&) = delete;
  Waiters& operator=(const Waiters&) = delete;
  ~Waiters() {
    for (std::thread& thread : threads_) thread.join();
    for (const pid_t pid : processes_) EXPECT_EQ(tests::exitcode_of(pid), 0);
  }

  /// Returns once all of them wait: they have given up the lock, which the caller then acquires.
  void start(int processes, int threads, sys::Duration limit = std::chrono::seconds(20)) {
    for (int i = 0; i < processes; ++i)
      processes_.push_back(tests::start_child([&] { return wait(limit); }));
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this, limit] { wait(limit); });
    EXPECT_TRUE(reaches(sleeping, started_ += processes + threads));
    const LockGuard all_wait(condition_);
  }

  void kill_process(std::size_t i) {
    kill(processes_[i], SIGKILL);
    EXPECT_EQ(tests::exitcode_of(processes_[i]), -SIGKILL);
    processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  Counter sleeping;
  Counter woken;
  Counter timed_out;
  Counter told_of_death;

 private:
  int wait(sys::Duration limit) {
    const LockGuard guard(condition_);
    ++*sleeping;
    const Waited waited = condition_.wait(sys::Deadline::after(limit));
    ++*(waited ? woken : timed_out);
    if (waited.owner_died) ++*told_of_death;
    return 0;
  }

  Condition& condition_;
  int started_ = 0;
  std::vector<pid_t> processes_;
  std::deque<std::thread> threads_;
};

void notify(Condition& condition, unsigned n) {
  const LockGuard guard(condition);
  condition.notify(n);
}

/// Longer than any sleep: what should not wake had its time to.
void let_time_pass() {
  std::this_thread::sleep_for(2 * longest_sleep);
}

TEST(Condition, NotifyWakesExactlyOne) {
  PROVES("2.1", "cpython:test_notify");
  Condition condition;
  Waiters waiters(condition);
  waiters.start(1, 1);
  for (int i = 0; i < 2; ++i) {
    let_time_pass();
    EXPECT_EQ(*waiters.woken, i);
    notify(condition, 1);
    EXPECT_TRUE(reaches(waiters.woken, i + 1));
  }
}

TEST(Condition, NotifyWakesAsManyAsItSays) {
  PROVES("cpython:test_notify_n");
  Condition condition;
  Waiters waiters(condition);
  waiters.start(3, 3);
  notify(condition, 2);
  EXPECT_TRUE(reaches(waiters.woken, 2));
  let_time_pass();
  EXPECT_EQ(*waiters.woken, 2);
  notify(condition, 4);
  EXPECT_TRUE(reaches(waiters.woken, 6));
  notify(condition, 3);  // of nobody
  waiters.start(1, 0);   // who comes later is not meant
  let_time_pass();
  EXPECT_EQ(*waiters.woken, 6);
  notify(condition, 0);
  let_time_pass();
  EXPECT_EQ(*waiters.woken, 6);
  notify(condition, 1);
}

TEST(Condition, NotifyAllWakesAllWhoWaitAndNobodyWhoGaveUp) {
  PROVES("cpython:test_notify_all");
  Condition condition;
  Waiters waiters(condition);
  waiters.start(3, 3, std::chrono::milliseconds(20));
  EXPECT_TRUE(reaches(waiters.timed_out, 6));
  EXPECT_EQ(*waiters.woken, 0);
  waiters.start(3, 3);
  let_time_pass();
  EXPECT_EQ(*waiters.woken, 0);
  {
    const LockGuard guard(condition);
    condition.notify_all();
  }
  EXPECT_TRUE(reaches(waiters.woken, 6));
}

TEST(Condition, AWaitEndsAtItsDeadlineWithTheLock) {
  PROVES("cpython:test_timeout");
  Condition condition;
  const LockGuard guard(condition);
  for (const int ms : {0, 5, 80}) {
    const auto deadline = sys::Deadline::after(std::chrono::milliseconds(ms));
    EXPECT_FALSE(condition.wait(deadline));
    EXPECT_TRUE(deadline.passed());
  }
  EXPECT_EQ(tests::exitcode_in_child([&] {
              const auto at_once = sys::Deadline::immediately();
              return condition.acquire(at_once) == Acquired::timed_out ? 0 : 1;
            }),
            0);
}

TEST(Condition, WaitForAPredicate) {
  PROVES("cpython:test_waitfor");
  Condition condition;
  Value<int> state(-1);
  const pid_t child = tests::start_child([&] {
    const LockGuard guard(condition);
    state.set(0);
    condition.notify();
    const Waited waited = condition.wait_for([&] { return state.get() == 4; }, tests::patience());
    return waited && state.get() == 4 ? 0 : 1;
  });
  {
    const LockGuard guard(condition);
    EXPECT_TRUE(condition.wait_for([&] { return state.get() == 0; }, tests::patience()));
    EXPECT_EQ(state.get(), 0);
  }
  for (int i = 0; i < 4; ++i) {
    const LockGuard guard(condition);
    state.update([](int& number) { ++number; });
    condition.notify();
  }
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(Condition, WaitForAPredicateThatNeverHolds) {
  PROVES("cpython:test_waitfor_timeout");
  Condition condition;
  Value<int> state(0);
  tests::Gate waits;
  const pid_t child = tests::start_child([&] {
    const LockGuard guard(condition);
    waits.open();
    const auto deadline = sys::Deadline::after(std::chrono::milliseconds(100));
    const Waited waited = condition.wait_for([&] { return state.get() == 4; }, deadline);
    return !waited && deadline.passed() ? 0 : 1;
  });
  EXPECT_TRUE(waits.pass());
  for (int i = 0; i < 3; ++i) {
    const LockGuard guard(condition);
    state.update([](int& number) { ++number; });
    condition.notify();
  }
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

/// `lock` is acquired `levels` times; the wait must give up all of them and take as many again.
template <typename AnyLock>
void wait_with(AnyLock& lock, int levels) {
  Condition condition(lock);
  for (int i = 0; i < levels; ++i) condition.acquire();
  const pid_t notifier = tests::start_child([&] {
    const LockGuard guard(lock);  // free only while the other waits
    condition.notify();
    return 0;
  });
  EXPECT_TRUE(condition.wait(tests::patience()));
  EXPECT_EQ(tests::exitcode_of(notifier), 0);
  for (int i = 0; i < levels; ++i) {
    EXPECT_TRUE(lock.held_by_caller());
    condition.release();
  }
  EXPECT_FALSE(lock.held_by_caller());
  EXPECT_THROW(condition.release(), std::logic_error);
}

TEST(Condition, GivesUpTheUsersLockAndTakesItAgain) {
  Lock lock;
  wait_with(lock, 1);
  RLock rlock;
  wait_with(rlock, 3);
}

TEST(Condition, WithoutTheLockWaitAndNotifyAreErrors) {
  Lock lock;
  Condition condition(lock);
  EXPECT_THROW(condition.wait(), std::logic_error);
  EXPECT_THROW(condition.wait_for([] { return true; }), std::logic_error);
  EXPECT_THROW(condition.notify(), std::logic_error);
  EXPECT_THROW(condition.notify_all(), std::logic_error);
  const LockGuard guard(lock);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              try {
                condition.notify();
              } catch (const std::logic_error&) {
                return 0;
              }
              return 1;
            }),
            0);
}

TEST(Condition, TheLongestWaitingIsServedFirst) {
  Condition condition;
  Waiters first(condition);
  first.start(1, 0);
  Waiters second(condition);
  second.start(0, 1);
  notify(condition, 1);
  EXPECT_TRUE(reaches(first.woken, 1));
  EXPECT_EQ(*second.woken, 0);
  notify(condition, 1);
}

TEST(Condition, KilledWaitersArePassedOver) {
  PROVES("0.5");
  Condition condition;
  Waiters waiters(condition);
  waiters.start(4, 1);
  waiters.kill_process(0);
  waiters.kill_process(2);
  notify(condition, 2);
  EXPECT_TRUE(reaches(waiters.woken, 2));
  let_time_pass();
  EXPECT_EQ(*waiters.woken, 2);
  notify(condition, 1);
  EXPECT_TRUE(reaches(waiters.woken, 3));
}

TEST(Condition, ANotificationGoesToAnotherWhenItsReceiverIsKilled) {
  Condition condition;
  Waiters waiters(condition);
  waiters.start(1, 0);
  waiters.start(1, 1);
  {
    const LockGuard guard(condition);
    condition.notify();       // the first is notified, and cannot have the lock
    waiters.kill_process(0);  // before it returns from its wait
  }
  EXPECT_TRUE(reaches(waiters.woken, 1));
  let_time_pass();
  EXPECT_EQ(*waiters.woken, 1);
  notify(condition, 1);
  EXPECT_TRUE(reaches(waiters.woken, 2));
}

TEST(Condition, ANotificationIsNotHandedToWhoCameLater) {
  Condition condition;
  Waiters waiters(condition);
  waiters.start(1, 0);
  const pid_t late = [&] {
    const LockGuard guard(condition);
    condition.notify();
    waiters.kill_process(0);
    return tests::start_child([&] {
      const LockGuard his(condition);
      return condition.wait(sys::Deadline::after(4 * longest_sleep)) ? 1 : 0;
    });
  }();
  EXPECT_EQ(tests::exitcode_of(late), 0);
}

TEST(Condition, WhoWaitsLearnsThatTheLocksHolderWasKilled) {
  Condition condition;
  Waiters waiters(condition);
  waiters.start(2, 1);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              condition.acquire();
              return raise(SIGKILL);  // and will never notify
            }),
            -SIGKILL);
  EXPECT_TRUE(reaches(waiters.woken, 3));
  EXPECT_EQ(*waiters.told_of_death, 1);
}

TEST(Condition, WaitForTellsOfADeathOnTheWay) {
  Condition condition;
  Counter ready;
  tests::Gate waits;
  const pid_t waiter = tests::start_child([&] {
    const LockGuard guard(condition);
    waits.open();
    const Waited waited = condition.wait_for([&] { return *ready == 1; }, tests::patience());
    return waited.done && waited.owner_died ? 0 : 1;
  });
  EXPECT_TRUE(waits.pass());
  EXPECT_EQ(tests::exitcode_in_child([&] {
              condition.acquire();
              *ready = 1;
              return raise(SIGKILL);
            }),
            -SIGKILL);
  EXPECT_EQ(tests::exitcode_of(waiter), 0);
}

}  // namespace
}  // namespace forkecho::mp
