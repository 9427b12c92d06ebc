#include "common/mp/robust_mutex.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <csignal>
#include <stdexcept>
#include <thread>
#include <vector>

#include "common/mp/futex.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"

namespace forkecho::mp {
namespace {

sys::Deadline soon() {
  return sys::Deadline::after(std::chrono::milliseconds(10));
}

TEST(RobustMutex, IsHeldByOneThread) {
  RawValue<RobustMutex> mutex;
  EXPECT_FALSE(mutex->is_held());
  EXPECT_EQ(mutex->lock(), Acquired::yes);
  EXPECT_TRUE(mutex->is_held());
  EXPECT_TRUE(mutex->held_by_caller());
  std::thread([&] {
    EXPECT_FALSE(mutex->held_by_caller());
    EXPECT_EQ(mutex->try_lock(), Acquired::timed_out);
    EXPECT_EQ(mutex->lock(sys::Deadline::immediately()), Acquired::timed_out);
  }).join();
  mutex->unlock();
  EXPECT_FALSE(mutex->is_held());
  EXPECT_FALSE(mutex->held_by_caller());
}

TEST(RobustMutex, GivesUpAtTheDeadlineAndNotBefore) {
  RawValue<RobustMutex> mutex;
  const RobustGuard guard(*mutex);
  std::thread([&] {
    const auto deadline = sys::Deadline::after(longest_sleep * 3 / 2);  // more than one look
    EXPECT_EQ(mutex->lock(deadline), Acquired::timed_out);
    EXPECT_TRUE(deadline.passed());
  }).join();
}

TEST(RobustMutex, WhoTakesATurnWaitsForAMomentThoughTheDeadlineHasPassed) {
  RawValue<RobustMutex> mutex;
  {
    const RobustGuard guard(*mutex, sys::Deadline::immediately());
    EXPECT_FALSE(guard.timed_out());
    std::thread([&] {
      const auto begun = sys::Clock::now();
      EXPECT_TRUE(RobustGuard(*mutex, sys::Deadline::immediately()).timed_out());
      EXPECT_GE(sys::Clock::now() - begun, longest_sleep);
    }).join();
    EXPECT_TRUE(mutex->held_by_caller()) << "who did not get it does not release it";
  }
  EXPECT_FALSE(mutex->is_held());
}

TEST(RobustMutex, MisuseIsNamed) {
  RawValue<RobustMutex> mutex;
  EXPECT_THROW(mutex->unlock(), std::logic_error);
  mutex->lock();
  EXPECT_THROW(mutex->lock(), std::logic_error);
  EXPECT_THROW(mutex->lock(soon()), std::logic_error);
  EXPECT_THROW(mutex->try_lock(), std::logic_error);
  EXPECT_EQ(mutex->lock_unless_held(soon()), std::nullopt);
  std::thread([&] { EXPECT_THROW(mutex->unlock(), std::logic_error); }).join();
  mutex->unlock();
  EXPECT_EQ(mutex->lock_unless_held(soon()), Acquired::yes);
  mutex->unlock();
}

TEST(RobustMutex, AThreadThatEndsIsAnOwnerThatDied) {
  RawValue<RobustMutex> mutex;
  std::thread([&] { mutex->lock(); }).join();
  // The kernel ends the thread a moment after it can be joined.
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] { return mutex->is_orphaned(); }));
  EXPECT_FALSE(mutex->is_held());
  EXPECT_EQ(mutex->try_lock(), Acquired::owner_died);
  EXPECT_FALSE(mutex->is_orphaned());
  EXPECT_TRUE(mutex->held_by_caller());
  mutex->unlock();
  EXPECT_EQ(mutex->lock(), Acquired::yes);
  mutex->unlock();
}

TEST(RobustMutex, ADeathIsToldAgainWhenWhoWasToldDies) {
  RawValue<RobustMutex> mutex;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(tests::exitcode_in_child([&] {
                const Acquired expected = round == 0 ? Acquired::yes : Acquired::owner_died;
                return mutex->lock() == expected ? 0 : 1;
              }),
              0);
  }
  EXPECT_EQ(mutex->lock(), Acquired::owner_died);
  mutex->unlock();
}

// What a waiter's kill between its wake-up and its taking the mutex leaves behind: a free mutex,
// and others asleep on it.
TEST(RobustMutex, AWaiterWhoseWakeUpWasLostFindsItFree) {
  RawValue<RobustMutex> mutex;
  tests::Gate held;
  tests::Gate release;
  const pid_t holder = tests::start_child([&] {
    mutex->lock();
    held.open();
    if (!release.pass()) return 1;
    // Its word is released, and nobody woken. The child ends with it: for the rest of a process,
    // the list of what its thread holds would be wrong.
    reinterpret_cast<Word&>(*mutex) = 0;
    return 0;
  });
  ASSERT_TRUE(held.pass());
  const pid_t waiter =
      tests::start_child([&] { return mutex->lock(tests::patience()) == Acquired::yes ? 0 : 1; });
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] { return tests::state_of(waiter) == 'S'; }));
  release.open();
  EXPECT_EQ(tests::exitcode_of(holder), 0);
  EXPECT_EQ(tests::exitcode_of(waiter), 0);
  EXPECT_EQ(mutex->lock(), Acquired::owner_died);  // the waiter left with it
  mutex->unlock();
}

TEST(RobustMutex, OfAsManyAsAThreadMayHoldNoneStaysLockedAfterItsDeath) {
  constexpr std::size_t most = RobustMutex::most_held_by_a_thread;
  RawArray<RobustMutex> mutexes(most + 1);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              for (std::size_t i = 0; i < most; ++i) mutexes[i].lock();
              try {
                mutexes[most].lock();
                return 1;
              } catch (const std::length_error&) {
              }
              mutexes[0].unlock();
              if (mutexes[most].try_lock() != Acquired::yes) return 2;
              if (tests::exitcode_in_child([&] {
                    mutexes[0].lock();  // a child holds nothing of its parent's
                    return 0;
                  }) != 0)
                return 3;
              return kill(getpid(), SIGKILL);
            }),
            -SIGKILL);
  for (std::size_t i = 0; i < mutexes.size(); ++i) {
    ASSERT_EQ(mutexes[i].try_lock(), Acquired::owner_died) << i;
    mutexes[i].unlock();
  }
}

TEST(RobustMutex, IsReleasedBeforeItsMemoryGoesSoThatTheListOfHeldOnesStaysWhole) {
  RawValue<RobustMutex> first;
  RawValue<RobustMutex> last;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              first->lock();
              {
                RawValue<RobustMutex> between;
                between->lock();
                between->unlock_before_unmapping();
              }
              last->lock();
              return 0;
            }),
            0);
  EXPECT_EQ(first->lock(tests::patience()), Acquired::owner_died);
  EXPECT_EQ(last->lock(tests::patience()), Acquired::owner_died);
  last->unlock_before_unmapping();
  EXPECT_FALSE(last->is_held());
  last->unlock_before_unmapping();  // nothing, when it is not held
  first->unlock();
}

}  // namespace
}  // namespace forkecho::mp
