#include <gtest/gtest.h>

#include "common/mp/raw_shared.h"
#include "common/mp/robust_mutex.h"
#include "tests/support/child.h"

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

}  // namespace
}  // namespace forkecho::mp
