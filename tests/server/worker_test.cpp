#include "server/worker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/child.h"

namespace forkecho::server {
namespace {

/// The wish of a fresh worker after these signals, as an exit code.
std::optional<int> wish_after(std::initializer_list<int> signals) {
  return tests::exitcode_in_child([signals] {
    install_worker_signals(nullptr);
    for (const int number : signals) raise(number);
    return static_cast<int>(current_wish());
  });
}

int code(Wish wish) {
  return static_cast<int>(wish);
}

TEST(Worker, EachSignalIsAWish) {
  EXPECT_EQ(wish_after({}), code(Wish::serve));
  EXPECT_EQ(wish_after({SIGUSR1}), code(Wish::retire));
  EXPECT_EQ(wish_after({SIGTERM}), code(Wish::drain));
  EXPECT_EQ(wish_after({SIGUSR2}), code(Wish::finish));
}

TEST(Worker, AWishOnlyBecomesMoreUrgent) {
  EXPECT_EQ(wish_after({SIGTERM, SIGUSR1}), code(Wish::drain));
  EXPECT_EQ(wish_after({SIGUSR2, SIGTERM, SIGUSR1}), code(Wish::finish));
  EXPECT_EQ(wish_after({SIGUSR1, SIGTERM}), code(Wish::drain));
}

TEST(Worker, WhatATerminalSendsHasNoEffect) {
  EXPECT_EQ(wish_after({SIGINT, SIGHUP, SIGPIPE, SIGTTIN, SIGTTOU}), code(Wish::serve));
}

volatile std::sig_atomic_t finishes = 0;

TEST(Worker, TheActionRunsAtTheFinishAlone) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              install_worker_signals([] { finishes = finishes + 1; });
              raise(SIGUSR1);
              raise(SIGTERM);
              const int before = finishes;
              raise(SIGUSR2);
              raise(SIGUSR2);
              return before * 10 + finishes;
            }),
            2);
}

TEST(Worker, ABlockedReadReturnsOnASignal) {
  tests::Pipe ready;
  const tests::Pipe never;
  const pid_t child = tests::start_child([&] {
    install_worker_signals(nullptr);
    if (write(ready.write.get(), "x", 1) != 1) return 2;
    char byte;
    return read(never.read.get(), &byte, 1) == -1 && errno == EINTR ? 0 : 1;
  });
  ASSERT_TRUE(tests::readable(ready.read.get()));
  // Again and again, as the supervisor does: the first may come before the read.
  std::optional<mp::Exit> exit;
  for (int i = 0; i < 1000 && !exit; ++i) {
    kill(child, SIGTERM);
    exit = mp::reap_before(child, sys::Deadline::after(std::chrono::milliseconds(10)));
  }
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->exitcode, 0);
}

}  // namespace
}  // namespace forkecho::server
