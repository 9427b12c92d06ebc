#include <gtest/gtest.h>

#include "common/mp/raw_shared.h"
#include "common/mp/robust_mutex.h"
#include "tests/support/child.h"
#include "tests/support/kill_at_step.h"

namespace forkecho::mp {
namespace {

TEST(RobustMutexKilled, TheNextHolderIsTold) {
  RawValue<RobustMutex> mutex;
  const pid_t holder = tests::start_child([&] {
    mutex->lock();
    return kill(getpid(), SIGKILL);
  });
  ASSERT_EQ(tests::exitcode_of(holder), -SIGKILL);
  EXPECT_EQ(mutex->lock(tests::patience()), Acquired::owner_died);
  mutex->unlock();
  EXPECT_EQ(mutex->lock(tests::patience()), Acquired::yes);
  mutex->unlock();
}

TEST(RobustMutexKilled, OneWhoWasToldAndIsKilledInTurnLeavesTheNewsToTheNext) {
  RawValue<RobustMutex> mutex;
  const auto lock_it = [&] { mutex->lock(); };
  ASSERT_EQ(tests::exitcode_in_child([&] {
              lock_it();
              return 0;
            }),
            0);
  const tests::KillCount kills;
  const unsigned times = 100;
  for (unsigned i = 0; i < times; ++i) {
    ASSERT_EQ(tests::exitcode_in_child([&] {
                tests::kill_at_step("mutex.lock.inherited", kills);
                lock_it();
                return 0;
              }),
              -SIGKILL);
  }
  EXPECT_EQ(kills.count(), times);
  EXPECT_EQ(mutex->lock(tests::patience()), Acquired::owner_died);
  mutex->unlock();
}

}  // namespace
}  // namespace forkecho::mp
