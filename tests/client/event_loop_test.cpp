#include "client/event_loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <vector>

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

struct Pair {
  sys::Descriptor ours;
  sys::Descriptor theirs;
  Pair() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
      throw std::runtime_error("pair");
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
  }
};

TEST(EventLoop, WakesWhenTheSocketIsReady) {
  EventLoop loop;
  const Pair pair;
  Waiting waiting;
  loop.watch(pair.ours.get(), waiting, EPOLLIN);
  bool woken = false;
  const auto wait = [&]() -> Detached {
    woken = co_await loop.until(waiting, EPOLLIN, sys::Clock::now() + 10s);
    loop.stop();
  };
  wait();
  EXPECT_FALSE(woken);
  ASSERT_EQ(write(pair.theirs.get(), "x", 1), 1);
  loop.run();
  EXPECT_TRUE(woken);
}

TEST(EventLoop, EventsThatNobodyWaitsForAreKept) {
  EventLoop loop;
  const Pair pair;
  Waiting waiting;
  Waiting sleeping;
  loop.watch(pair.ours.get(), waiting, EPOLLIN);
  ASSERT_EQ(write(pair.theirs.get(), "x", 1), 1);
  bool woken = false;
  const auto wait = [&]() -> Detached {
    co_await loop.until(sleeping, 0, sys::Clock::now() + 5ms);
    woken = co_await loop.until(waiting, EPOLLIN, sys::Clock::now());
    loop.stop();
  };
  wait();
  loop.run();
  EXPECT_TRUE(woken);
  waiting.used_up(EPOLLIN);
  EXPECT_FALSE(waiting.has(EPOLLIN));
}

TEST(EventLoop, TellsAPassedDeadline) {
  EventLoop loop;
  const Pair pair;
  Waiting waiting;
  loop.watch(pair.ours.get(), waiting, EPOLLIN);
  bool woken = true;
  const auto deadline = sys::Clock::now() + 20ms;
  const auto wait = [&]() -> Detached {
    woken = co_await loop.until(waiting, EPOLLIN, deadline);
    loop.stop();
  };
  wait();
  loop.run();
  EXPECT_FALSE(woken);
  EXPECT_GE(sys::Clock::now(), deadline);
}

TEST(EventLoop, SleepersWakeInTheOrderOfTheirTimes) {
  EventLoop loop;
  Waiting waiting[3];
  std::vector<int> order;
  const auto now = sys::Clock::now();
  const auto sleep = [&](int number, sys::Duration delay) -> Detached {
    co_await loop.until(waiting[number], 0, now + delay);
    order.push_back(number);
    if (order.size() == 3) loop.stop();
  };
  sleep(0, 30ms);
  sleep(1, 10ms);
  sleep(2, 20ms);
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 0}));
}

TEST(EventLoop, DeadlineThatMovesAwayHoldsAtItsNewTime) {
  EventLoop loop;
  const Pair pair;
  Waiting waiting;
  loop.watch(pair.ours.get(), waiting, EPOLLIN);
  const auto second_deadline = sys::Clock::now() + 60ms;
  sys::Clock::time_point woken_at;
  const auto wait = [&]() -> Detached {
    co_await loop.until(waiting, EPOLLIN, sys::Clock::now() + 20ms);
    waiting.used_up(EPOLLIN);
    co_await loop.until(waiting, EPOLLIN, second_deadline);
    woken_at = sys::Clock::now();
    loop.stop();
  };
  wait();
  ASSERT_EQ(write(pair.theirs.get(), "x", 1), 1);  // ends the first wait
  loop.run();
  EXPECT_GE(woken_at, second_deadline);
}

TEST(EventLoop, DeadlineThatMovesCloserHoldsAtItsNewTime) {
  EventLoop loop;
  const Pair pair;
  Waiting waiting;
  loop.watch(pair.ours.get(), waiting, EPOLLIN);
  const auto begin = sys::Clock::now();
  const auto wait = [&]() -> Detached {
    co_await loop.until(waiting, EPOLLIN, begin + 1h);
    waiting.used_up(EPOLLIN);
    co_await loop.until(waiting, EPOLLIN, begin + 10ms);
    loop.stop();
  };
  wait();
  ASSERT_EQ(write(pair.theirs.get(), "x", 1), 1);  // ends the first wait
  loop.run();
  EXPECT_LT(sys::Clock::now() - begin, 30s);
}

TEST(EventLoop, NudgeWakesWhoWaitsForItAtOnce) {
  EventLoop loop;
  Waiting waiting;
  bool woken = false;
  const auto wait = [&]() -> Detached {
    woken = co_await loop.until(waiting, nudged, sys::Clock::time_point::max());
  };
  wait();
  loop.nudge(waiting);
  EXPECT_TRUE(woken);
  EXPECT_TRUE(waiting.has(nudged));
}

TEST(EventLoop, NudgeIsKeptForWhoWaitsForSomethingElse) {
  EventLoop loop;
  Waiting waiting;
  bool woken = false;
  const auto wait = [&]() -> Detached {
    co_await loop.until(waiting, 0, sys::Clock::now() + 1ms);
    woken = co_await loop.until(waiting, nudged, sys::Clock::now() + 10s);
    loop.stop();
  };
  wait();
  loop.nudge(waiting);
  EXPECT_FALSE(woken);
  loop.run();
  EXPECT_TRUE(woken);
}

TEST(EventLoop, DeadlineOfAWaitUnderWayCanBeMoved) {
  EventLoop loop;
  Waiting waiting;
  const auto begin = sys::Clock::now();
  const auto wait = [&]() -> Detached {
    co_await loop.until(waiting, 0, begin + 1h);
    loop.stop();
  };
  wait();
  loop.set_deadline(waiting, begin + 10ms);
  loop.run();
  EXPECT_GE(sys::Clock::now(), begin + 10ms);
  EXPECT_LT(sys::Clock::now() - begin, 30s);
}

TEST(EventLoop, ExceptionOfACoroutineLeavesRun) {
  EventLoop loop;
  Waiting waiting;
  const auto fail = [&]() -> Detached {
    co_await loop.until(waiting, 0, sys::Clock::now() + 1ms);
    throw std::runtime_error("no good");
  };
  fail();
  EXPECT_THROW(loop.run(), std::runtime_error);
}

}  // namespace
}  // namespace forkecho::client
