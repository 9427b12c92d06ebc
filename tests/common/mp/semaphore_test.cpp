#include "common/mp/semaphore.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "common/mp/lock.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

const auto at_once = sys::Deadline::immediately();

/// A child that holds `count` permits until it is killed; returns once it does.
pid_t start_holder(Semaphore& semaphore, int count = 1) {
  tests::Gate holds;
  const pid_t holder = tests::start_child([&] {
    for (int i = 0; i < count; ++i) semaphore.acquire();
    holds.open();
    pause();
    return 0;
  });
  EXPECT_TRUE(holds.pass());
  return holder;
}

void kill_and_reap(pid_t pid) {
  kill(pid, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(pid), -SIGKILL);
}

TEST(Semaphore, ADeadlineHoldsAlsoWhereAnotherIsStoppedInTheMiddleOfACall) {
  Semaphore semaphore(10);
  const pid_t other = tests::start_child([&] {
    for (;;) {
      semaphore.acquire();
      semaphore.release();
    }
    return 0;
  });
  // There is always a permit: one refused shows that the other was stopped inside.
  bool refused = false;
  for (int round = 0; round < 5000 && !refused; ++round) {
    ASSERT_TRUE(tests::stop_all({other}));
    refused = !semaphore.acquire(at_once);
    if (!refused) semaphore.release();
    kill(other, SIGCONT);
  }
  EXPECT_TRUE(refused);
  kill_and_reap(other);
  EXPECT_EQ(semaphore.get_value(), 10u);
}

/// From two permits to none and back.
void take_two_and_give_them_back(Semaphore& semaphore) {
  EXPECT_EQ(semaphore.get_value(), 2U);
  EXPECT_TRUE(semaphore.acquire());
  EXPECT_EQ(semaphore.get_value(), 1U);
  EXPECT_TRUE(semaphore.acquire());
  EXPECT_EQ(semaphore.get_value(), 0U);
  EXPECT_FALSE(semaphore.acquire(at_once));
  EXPECT_EQ(semaphore.get_value(), 0U);
  semaphore.release();
  EXPECT_EQ(semaphore.get_value(), 1U);
  semaphore.release();
  EXPECT_EQ(semaphore.get_value(), 2U);
}

TEST(Semaphore, CountsPermits) {
  PROVES("2.1", "cpython:test_semaphore");
  for (const OnDeath on_death : {OnDeath::give_back, OnDeath::keep}) {
    Semaphore semaphore(2, on_death);
    take_two_and_give_them_back(semaphore);
    semaphore.release();
    EXPECT_EQ(semaphore.get_value(), 3U);
    semaphore.release();
    EXPECT_EQ(semaphore.get_value(), 4U);
  }
}

TEST(BoundedSemaphore, RefusesMoreThanItBeganWith) {
  PROVES("2.1", "cpython:test_bounded_semaphore");
  for (const OnDeath on_death : {OnDeath::give_back, OnDeath::keep}) {
    BoundedSemaphore semaphore(2, on_death);
    take_two_and_give_them_back(semaphore);
    EXPECT_THROW(semaphore.release(), std::logic_error);
    EXPECT_EQ(semaphore.get_value(), 2U);
  }
}

TEST(Semaphore, WaitsUntilTheDeadlineAndNoLonger) {
  Semaphore semaphore(0);
  EXPECT_FALSE(semaphore.acquire(at_once));
  for (const int ms : {5, 80}) {  // below and above the longest sleep
    const auto deadline = sys::Deadline::after(std::chrono::milliseconds(ms));
    EXPECT_FALSE(semaphore.acquire(deadline));
    EXPECT_TRUE(deadline.passed());
  }
}

TEST(Semaphore, NumbersThatNoSemaphoreHas) {
  EXPECT_THROW(Semaphore(static_cast<unsigned>(-1)), std::invalid_argument);
  EXPECT_THROW(BoundedSemaphore(Semaphore::most_permits + 1), std::invalid_argument);
  Semaphore semaphore(Semaphore::most_permits);
  EXPECT_THROW(semaphore.release(), std::logic_error);
  EXPECT_EQ(semaphore.get_value(), Semaphore::most_permits);
}

TEST(Semaphore, LetsNoMoreInThanItHasPermits) {
  PROVES("1.4");
  Semaphore semaphore(2);
  const RawValue<std::atomic<int>> inside;
  const RawValue<std::atomic<int>> most;
  std::vector<pid_t> workers;
  for (int i = 0; i < 5; ++i) {
    workers.push_back(tests::start_child([&] {
      for (int n = 0; n < 500; ++n) {
        if (!semaphore.acquire(tests::patience())) return 1;
        const int now = ++*inside;
        for (int seen = *most; now > seen && !most->compare_exchange_weak(seen, now);) {
        }
        sched_yield();
        --*inside;
        semaphore.release();
      }
      return 0;
    }));
  }
  for (const pid_t worker : workers) EXPECT_EQ(tests::exitcode_of(worker), 0);
  EXPECT_EQ(*most, 2);
  EXPECT_EQ(semaphore.get_value(), 2U);
}

TEST(Semaphore, AReleaseWakesOneThatWaits) {
  for (const OnDeath on_death : {OnDeath::give_back, OnDeath::keep}) {
    Semaphore semaphore(0, on_death);
    const pid_t waiter =
        tests::start_child([&] { return semaphore.acquire(tests::patience()) ? 0 : 1; });
    semaphore.release();
    EXPECT_EQ(tests::exitcode_of(waiter), 0);
  }
}

TEST(Semaphore, ThePermitsOfTheKilledComeBack) {
  PROVES("0.5");
  Semaphore semaphore(3);
  const pid_t holder = start_holder(semaphore, 2);
  EXPECT_EQ(semaphore.get_value(), 1U);
  EXPECT_TRUE(semaphore.acquire());
  EXPECT_FALSE(semaphore.acquire(at_once));
  kill_and_reap(holder);
  EXPECT_TRUE(semaphore.acquire(at_once));  // seen at once
  EXPECT_EQ(semaphore.get_value(), 1U);
}

TEST(Semaphore, OneThatSleepsLearnsOfADeath) {
  Semaphore semaphore(1);
  const pid_t holder = start_holder(semaphore);
  tests::Gate about_to_wait;
  const pid_t waiter = tests::start_child([&] {
    about_to_wait.open();
    return semaphore.acquire(tests::patience()) ? 0 : 1;
  });
  EXPECT_TRUE(about_to_wait.pass());
  EXPECT_FALSE(semaphore.acquire(sys::Deadline::after(std::chrono::milliseconds(10))));
  kill_and_reap(holder);
  EXPECT_EQ(tests::exitcode_of(waiter), 0);
  EXPECT_EQ(semaphore.get_value(), 1U);  // the waiter left with it: that counts as died, too
}

TEST(Semaphore, AThreadThatEndsGivesBackWhatItHeld) {
  Semaphore semaphore(1);
  std::thread([&] { semaphore.acquire(); }).join();
  EXPECT_TRUE(semaphore.acquire(tests::patience()));
}

TEST(Semaphore, WhatIsKeptIsNotGivenBack) {
  Semaphore semaphore(2, OnDeath::keep);
  kill_and_reap(start_holder(semaphore));
  EXPECT_EQ(semaphore.get_value(), 1U);
}

TEST(Semaphore, WhatWasReleasedIsNotGivenBackAgain) {
  Semaphore semaphore(2);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              semaphore.acquire();
              semaphore.acquire();
              semaphore.release();
              semaphore.release();
              return 0;
            }),
            0);
  EXPECT_EQ(semaphore.get_value(), 2U);
}

TEST(Semaphore, AReleaseByOneWhoAcquiredNoneAddsAPermit) {
  Semaphore semaphore(1);
  const pid_t holder = start_holder(semaphore);
  semaphore.release();
  EXPECT_EQ(semaphore.get_value(), 1U);
  kill_and_reap(holder);
  EXPECT_EQ(semaphore.get_value(), 2U);  // the holder's account was not touched
}

TEST(BoundedSemaphore, AReleaseByOneWhoAcquiredNoneIsEnteredInAnothersAccount) {
  BoundedSemaphore semaphore(1);
  const pid_t holder = start_holder(semaphore);
  semaphore.release();
  EXPECT_EQ(semaphore.get_value(), 1U);
  kill_and_reap(holder);
  EXPECT_EQ(semaphore.get_value(), 1U);
  EXPECT_THROW(semaphore.release(), std::logic_error);
}

TEST(Semaphore, MayBeDestroyedByAHolder) {
  Lock other;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              auto semaphore = std::make_unique<Semaphore>(1);
              semaphore->acquire();
              other.acquire();
              semaphore.reset();
              return 0;
            }),
            0);
  EXPECT_EQ(other.acquire(tests::patience()), Acquired::owner_died);
  other.release();
}

}  // namespace
}  // namespace forkecho::mp
