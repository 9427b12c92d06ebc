#include "client/interrupt.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <csignal>

namespace forkecho::client {
namespace {

bool is_readable(int descriptor) {
  pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
  return poll(&waiting, 1, 0) == 1;
}

class InterruptWatchTest : public testing::TestWithParam<int> {};

TEST_P(InterruptWatchTest, SeesASignal) {
  InterruptWatch watch;
  EXPECT_FALSE(is_readable(watch.descriptor()));
  std::raise(GetParam());
  EXPECT_TRUE(is_readable(watch.descriptor()));
  watch.take();
  EXPECT_FALSE(is_readable(watch.descriptor()));
}

TEST_P(InterruptWatchTest, SeesASignalThatWaitedForIt) {
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  sigaddset(&set, GetParam());
  sigprocmask(SIG_BLOCK, &set, &before);
  std::raise(GetParam());
  {
    InterruptWatch watch;
    EXPECT_TRUE(is_readable(watch.descriptor()));
    watch.take();
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

INSTANTIATE_TEST_SUITE_P(BothSignals, InterruptWatchTest, testing::Values(SIGINT, SIGTERM));

}  // namespace
}  // namespace forkecho::client
