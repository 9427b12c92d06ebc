#include "common/mp/clone.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "common/mp/raw_shared.h"
#include "common/mp/robust_mutex.h"
#include "tests/support/child.h"

namespace forkecho::mp {
namespace {

constexpr int own_exit = 44;

/// The exit code of a child of the raw call that runs `body`; 99 where the call is not to be had.
/// In a child itself, whose signals are not those of the test.
template <typename Body>
int exitcode_of_clone(Body body) {
  const auto pid = clone_without_handlers();
  if (!pid) return 99;
  if (*pid == 0) _exit(body());
  return tests::exitcode_of(*pid).value_or(98);
}

/// The runner starts each test in a process of its own; in one for all, another may have had
/// threads.
class Clone : public testing::Test {
 protected:
  void SetUp() override {
    if (!__libc_single_threaded) GTEST_SKIP() << "the process has had threads";
  }
};

TEST_F(Clone, HasNoHandlersAndKeepsWhatIsIgnored) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              std::signal(SIGUSR1, [](int) {});
              std::signal(SIGUSR2, SIG_IGN);
              return exitcode_of_clone([] {
                return std::signal(SIGUSR1, SIG_IGN) == SIG_DFL &&
                               std::signal(SIGUSR2, SIG_DFL) == SIG_IGN
                           ? 0
                           : 1;
              });
            }),
            0);
}

TEST_F(Clone, TheLibraryKnowsTheChildsThread) {
  EXPECT_EQ(exitcode_of_clone([] {
              RawValue<RobustMutex> mutex;
              mutex->lock();
              const bool own = mutex->held_by_caller();
              mutex->unlock();
              // pthread_kill takes the thread's id from the library's own memory.
              std::signal(SIGUSR1, [](int) { _exit(own_exit); });
              pthread_kill(pthread_self(), SIGUSR1);
              return own ? 1 : 2;
            }),
            own_exit);
}

TEST_F(Clone, ItsDeathFreesItsRobustMutexes) {
  RawValue<RobustMutex> mutex;
  EXPECT_EQ(exitcode_of_clone([&] {
              mutex->lock();
              return kill(getpid(), SIGKILL);
            }),
            -SIGKILL);
  EXPECT_EQ(mutex->lock(tests::patience()), Acquired::owner_died);
  mutex->unlock();
}

TEST_F(Clone, IsNotToBeHadWithARobustMutexOrThreads) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              RawValue<RobustMutex> mutex;
              mutex->lock();
              if (clone_without_handlers()) return 1;
              mutex->unlock();
              std::thread([] {}).join();
              return clone_without_handlers() ? 2 : 0;
            }),
            0);
}

}  // namespace
}  // namespace forkecho::mp
