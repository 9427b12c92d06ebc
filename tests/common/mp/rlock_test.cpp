#include "common/mp/rlock.h"

#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>
#include <thread>
#include <vector>

#include "common/mp/lock.h"
#include "tests/support/child.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

/// Whether another process could acquire it.
bool is_free(RLock& lock) {
  return tests::exitcode_in_child([&] {
           if (lock.acquire(sys::Deadline::immediately()) != Acquired::yes) return 1;
           lock.release();
           return 0;
         }) == 0;
}

TEST(RLock, IsFreeAfterAsManyReleasesAsAcquires) {
  PROVES("2.1", "cpython:test_rlock");
  RLock lock;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(lock.acquire(), Acquired::yes);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(is_free(lock));
    EXPECT_TRUE(lock.held_by_caller());
    lock.release();
  }
  EXPECT_TRUE(is_free(lock));
  EXPECT_FALSE(lock.held_by_caller());
  EXPECT_THROW(lock.release(), std::logic_error);
}

TEST(RLock, OnlyItsHolderReleasesAtAnyLevel) {
  RLock lock;
  const auto refused = [&] {
    try {
      lock.release();
    } catch (const std::logic_error&) {
      return true;
    }
    return false;
  };
  for (int level = 1; level <= 3; ++level) {
    lock.acquire();
    EXPECT_EQ(tests::exitcode_in_child([&] { return refused() ? 0 : 1; }), 0) << level;
    std::thread([&] { EXPECT_TRUE(refused()) << level; }).join();
  }
  for (int level = 1; level <= 3; ++level) lock.release();
  EXPECT_TRUE(refused());
  EXPECT_TRUE(is_free(lock));
}

TEST(RLock, GivesUpAtTheDeadline) {
  RLock lock;
  const LockGuard guard(lock);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              const auto deadline = sys::Deadline::after(std::chrono::milliseconds(10));
              const bool timed_out = lock.acquire(deadline) == Acquired::timed_out;
              return timed_out && deadline.passed() ? 0 : 1;
            }),
            0);
}

TEST(RLock, LetsOneProcessInAtATime) {
  constexpr int rounds = 10'000;
  RLock lock;
  const RawValue<int> count;  // no atomic: what one loses, the sum shows
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(tests::start_child([&] {
      for (int n = 0; n < rounds; ++n) {
        const LockGuard outer(lock);
        const LockGuard inner(lock);
        *count = *count + 1;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(*count, 4 * rounds);
}

TEST(RLock, AfterItsHoldersDeathItIsAtTheFirstLevel) {
  PROVES("0.5");
  RLock lock;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              for (int i = 0; i < 3; ++i) lock.acquire();
              return raise(SIGKILL);
            }),
            -SIGKILL);
  EXPECT_TRUE(lock.is_orphaned());
  EXPECT_EQ(lock.acquire(tests::patience()), Acquired::owner_died);
  EXPECT_FALSE(lock.is_orphaned());
  EXPECT_EQ(lock.acquire(), Acquired::yes);  // said once
  lock.release();
  lock.release();
  EXPECT_TRUE(is_free(lock));
}

TEST(RLock, AllLevelsCanBeGivenUpAndTakenAgain) {
  RLock lock;
  for (int i = 0; i < 3; ++i) lock.acquire();
  const unsigned levels = lock.release_all();
  EXPECT_EQ(levels, 3U);
  EXPECT_TRUE(is_free(lock));
  EXPECT_EQ(lock.acquire_levels(levels), Acquired::yes);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(is_free(lock));
    lock.release();
  }
  EXPECT_TRUE(is_free(lock));
  EXPECT_THROW(lock.release_all(), std::logic_error);
}

TEST(RLock, AHolderMayDestroyIt) {
  Lock other;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              other.acquire();
              {
                RLock lock;
                lock.acquire();
                lock.acquire();
              }
              return 0;
            }),
            0);
  EXPECT_EQ(other.acquire(tests::patience()), Acquired::owner_died);
  other.release();
}

}  // namespace
}  // namespace forkecho::mp
