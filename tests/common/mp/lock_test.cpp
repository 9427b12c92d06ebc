#include "common/mp/lock.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

/// A child that holds `lock` until it is killed; returns once it does.
pid_t start_holder(Lock& lock) {
  Gate held;
  const pid_t holder = tests::start_child([&] {
    lock.acquire();
    held.open();
    pause();
    return 0;
  });
  EXPECT_TRUE(held.pass());
  return holder;
}

void kill_and_reap(pid_t pid) {
  kill(pid, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(pid), -SIGKILL);
}

sys::Deadline soon() {
  return sys::Deadline::after(std::chrono::milliseconds(10));
}

TEST(Lock, IsAcquiredAndReleasedAgainAndAgain) {
  Lock lock;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(lock.acquire(), Acquired::yes);
    lock.release();
    EXPECT_EQ(lock.acquire(sys::Deadline::after({})), Acquired::yes);
    lock.release();
  }
}

TEST(Lock, LetsOneProcessInAtATime) {
  const int rounds = tests::soak(20'000, 1'000'000);
  Lock lock;
  const RawValue<int> count;  // no atomic: what one loses, the sum shows
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(tests::start_child([&] {
      for (int n = 0; n < rounds; ++n) {
        const LockGuard guard(lock);
        *count = *count + 1;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(*count, 4 * rounds);
}

TEST(Lock, GivesUpAtTheDeadline) {
  Lock lock;
  const pid_t holder = start_holder(lock);
  const auto deadline = soon();
  EXPECT_EQ(lock.acquire(deadline), Acquired::timed_out);
  EXPECT_TRUE(deadline.passed());
  EXPECT_EQ(lock.acquire(sys::Deadline::after({})), Acquired::timed_out);
  kill_and_reap(holder);
}

TEST(Lock, SurvivesAKilledHolder) {
  for (int round = 0; round < tests::soak(20, 2000); ++round) {
    Lock lock;
    kill_and_reap(start_holder(lock));
    EXPECT_EQ(lock.acquire(tests::patience()), Acquired::owner_died);
    lock.release();
    EXPECT_EQ(lock.acquire(tests::patience()), Acquired::yes);  // said once
    lock.release();
  }
}

TEST(Lock, SurvivesAHolderThatLeaves) {
  Lock lock;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              lock.acquire();
              return 0;
            }),
            0);
  EXPECT_EQ(lock.acquire(), Acquired::owner_died);
  lock.release();
}

TEST(Lock, AKillWakesAWaiter) {
  Lock lock;
  const pid_t holder = start_holder(lock);
  Gate about_to_wait;
  const pid_t waiter = tests::start_child([&] {
    about_to_wait.open();
    return lock.acquire() == Acquired::owner_died ? 0 : 1;
  });
  EXPECT_TRUE(about_to_wait.pass());
  // Whether it waits already or not yet, the answer is the same; most of the time it does.
  EXPECT_EQ(lock.acquire(soon()), Acquired::timed_out);
  kill_and_reap(holder);
  EXPECT_EQ(tests::exitcode_of(waiter), 0);
  EXPECT_EQ(lock.acquire(), Acquired::owner_died);  // the waiter left with it
  lock.release();
}

TEST(Lock, IsNotRecursive) {
  Lock lock;
  const LockGuard guard(lock);
  try {
    lock.acquire();
    ADD_FAILURE() << "acquired twice";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EDEADLK);
  }
}

bool release_is_refused(Lock& lock) {
  try {
    lock.release();
  } catch (const std::system_error& error) {
    return error.code().value() == EPERM;
  }
  return false;
}

TEST(Lock, OnlyItsHolderReleases) {
  Lock lock;
  EXPECT_TRUE(release_is_refused(lock));
  const LockGuard guard(lock);
  EXPECT_EQ(tests::exitcode_in_child([&] { return release_is_refused(lock) ? 0 : 1; }), 0);
}

TEST(Lock, AForkDoesNotShareTheHolding) {
  Lock lock;
  const LockGuard guard(lock);
  EXPECT_EQ(
      tests::exitcode_in_child([&] { return lock.acquire(soon()) == Acquired::timed_out ? 0 : 1; }),
      0);
}

TEST(LockGuard, ReleasesAtTheEndOfItsScopeAndTellsOfADeath) {
  Lock lock;
  kill_and_reap(start_holder(lock));
  {
    const LockGuard guard(lock);
    EXPECT_TRUE(guard.owner_died());
  }
  const LockGuard guard(lock);
  EXPECT_FALSE(guard.owner_died());
}

}  // namespace
}  // namespace forkecho::mp
