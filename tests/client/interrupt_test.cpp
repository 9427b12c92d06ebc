#include "client/interrupt.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "common/mp/process.h"

namespace forkecho::client {
namespace {

bool is_readable(int fd) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 0) == 1;
}

TEST(InterruptWatch, MakesSignalsReadable) {
  for (const int number : {SIGINT, SIGTERM}) {
    InterruptWatch watch;
    EXPECT_FALSE(is_readable(watch.descriptor()));
    raise(number);
    EXPECT_TRUE(is_readable(watch.descriptor()));
    watch.take();
    EXPECT_FALSE(is_readable(watch.descriptor()));
  }
}

TEST(InterruptWatch, SeesASignalThatWaitedForIt) {
  for (const int number : {SIGINT, SIGTERM}) {
    sigset_t set;
    sigset_t before;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, &before);
    raise(number);
    {
      InterruptWatch watch;
      EXPECT_TRUE(is_readable(watch.descriptor())) << number;
      watch.take();
    }
    sigprocmask(SIG_SETMASK, &before, nullptr);
  }
}

TEST(InterruptWatch, SecondSignalHasItsUsualEffect) {
  mp::Process process([] {
    InterruptWatch watch;
    raise(SIGINT);
    watch.take();
    raise(SIGINT);
  });
  process.start();
  process.join();
  EXPECT_EQ(process.exitcode(), -SIGINT);
}

TEST(InterruptWatch, ChildrenIgnoreTheTerminalsInterrupt) {
  mp::Process process([] { raise(SIGINT); });
  {
    const InterruptWatch watch;
    process.start();
    process.join();
  }
  EXPECT_EQ(process.exitcode(), 0);
}

TEST(InterruptWatch, LeavesEverythingAsItWas) {
  sigset_t before;
  sigset_t after;
  sigprocmask(SIG_SETMASK, nullptr, &before);
  { const InterruptWatch watch; }
  sigprocmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(sigismember(&after, SIGINT), sigismember(&before, SIGINT));
  struct sigaction action {};
  sigaction(SIGINT, nullptr, &action);
  EXPECT_EQ(action.sa_handler, SIG_DFL);
}

}  // namespace
}  // namespace forkecho::client
