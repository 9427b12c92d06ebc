#include "common/mp/lock.h"

#include <gtest/gtest.h>

#include <atomic>

#include "common/mp/raw_shared.h"
#include "common/mp/rlock.h"
#include "tests/support/kill_rounds.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

/// What a lock guards: two numbers, alike unless their writer was killed between them.
struct Pair {
  std::atomic<long> first;
  std::atomic<long> second;
  std::atomic<long> told;  // deaths of holders
};

enum Wrong { none, hangs, torn_without_a_word };

/// Adds one to both. A difference must have been announced by owner_died, and is then repaired.
template <typename AnyLock>
int add_to_both(AnyLock& lock, Pair& pair, int levels) {
  const Acquired acquired = lock.acquire(tests::patience());
  if (acquired == Acquired::timed_out) return hangs;
  for (int level = 1; level < levels; ++level) lock.acquire();
  if (acquired == Acquired::owner_died) {
    ++pair.told;
    pair.second = pair.first.load();
  }
  if (pair.first != pair.second) return torn_without_a_word;
  ++pair.first;
  FORKECHO_MP_STEP("test.lock.half");
  sched_yield();  // so that others come while it is held
  ++pair.second;
  FORKECHO_MP_STEP("test.lock.whole");
  for (int level = 0; level < levels; ++level) lock.release();
  return none;
}

template <typename AnyLock>
void kill_its_holders(AnyLock& lock, int levels, std::initializer_list<const char*> steps) {
  const RawValue<Pair> pair;
  tests::Survivors survivors;
  survivors.start(3, [&] { return add_to_both(lock, *pair, levels); });
  const auto victim = [&] { add_to_both(lock, *pair, levels); };
  const int times = tests::soak(120, 1200);
  for (const char* const step : {"test.lock.half", "test.lock.whole"})
    tests::kill_each_at(step, times, victim);
  {
    // Whoever held the lock when it was killed was told of, exactly once.
    const LockGuard the_last_is_told(lock);
    EXPECT_EQ(pair->told + (the_last_is_told.owner_died() ? 1 : 0), 2 * times);
    if (the_last_is_told.owner_died()) pair->second = pair->first.load();
  }
  for (const char* const step : steps) tests::kill_each_at(step, times, victim);
  tests::kill_each_at_random(tests::soak(700, 7000), victim);
  survivors.stop();
  EXPECT_EQ(add_to_both(lock, *pair, levels), none);
}

TEST(LockKilled, HoldersAndWaitersAtAnyMoment) {
  PROVES("0.5");
  Lock lock;
  kill_its_holders(lock, 1, {"mutex.lock.waiting"});
}

TEST(RLockKilled, HoldersAndWaitersAtAnyMoment) {
  PROVES("0.5");
  RLock lock;
  kill_its_holders(lock, 3, {"mutex.lock.waiting", "rlock.acquire.locked"});
}

}  // namespace
}  // namespace forkecho::mp
