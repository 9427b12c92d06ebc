#include "server/ended_children.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "common/mp/fork_onto.h"
#include "tests/support/child.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

/// Blocks the signal, and reads it as the acceptor does.
class EndedSignal : public testing::Test {
 protected:
  EndedSignal() {
    sigemptyset(&watched_);
    sigaddset(&watched_, ended_signal());
    sigprocmask(SIG_BLOCK, &watched_, &before_);
  }
  ~EndedSignal() override { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  static pid_t start(mp::ForkedFunction function, long number = 0) {
    alignas(16) static std::array<char, 16 * 1024> stack;
    return mp::fork_onto(stack.data() + stack.size(), function, {.number = number}, ended_signal());
  }
  siginfo_t take_one() {
    siginfo_t info{};
    const timespec long_enough{.tv_sec = 20, .tv_nsec = 0};
    EXPECT_EQ(sigtimedwait(&watched_, &info, &long_enough), ended_signal());
    return info;
  }

 private:
  sigset_t before_{};
  sigset_t watched_{};
};

TEST_F(EndedSignal, TellsWhoLeftAndWithWhichCode) {
  const pid_t child =
      start([](const void*, long number, void*) { _exit(static_cast<int>(number)); }, 7);
  const auto exit = exit_told_by(take_one());
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->pid, child);
  EXPECT_EQ(exit->exitcode, 7);
  EXPECT_EQ(tests::exitcode_of(child), 7);
}

TEST_F(EndedSignal, TellsByWhichSignalOneWasKilledWithOrWithoutACore) {
  for (const int number : {SIGKILL, SIGSEGV}) {
    const pid_t child = start(
        [](const void*, long with, void*) {
          const rlimit none{.rlim_cur = 0, .rlim_max = 0};
          setrlimit(RLIMIT_CORE, &none);
          sigset_t nothing;
          sigemptyset(&nothing);
          sigprocmask(SIG_SETMASK, &nothing, nullptr);
          signal(SIGSEGV, SIG_DFL);
          for (;;) kill(getpid(), static_cast<int>(with));
        },
        number);
    const auto exit = exit_told_by(take_one());
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->pid, child);
    EXPECT_EQ(exit->exitcode, -number);
    EXPECT_EQ(tests::exitcode_of(child), -number);
  }
}

TEST_F(EndedSignal, IsNotBelievedOfAProcessThatSendsIt) {
  const pid_t child = start([](const void*, long, void*) {
    siginfo_t lie{};
    lie.si_signo = ended_signal();
    lie.si_code = CLD_EXITED;
    lie.si_pid = 1;
    const pid_t parent = getppid();
    if (syscall(SYS_rt_sigqueueinfo, parent, ended_signal(), &lie) == 0) _exit(1);
    kill(parent, ended_signal());
    sigqueue(parent, ended_signal(), {.sival_int = 1});
    _exit(0);
  });
  EXPECT_FALSE(exit_told_by(take_one())) << "kill";
  EXPECT_FALSE(exit_told_by(take_one())) << "sigqueue";
  const auto exit = exit_told_by(take_one());
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->pid, child);
  EXPECT_EQ(tests::exitcode_of(child), 0) << "1: the kernel has let the lie pass";
}

TEST(ExitToldBy, AnotherSignalTellsOfNobody) {
  siginfo_t info{};
  info.si_signo = SIGCHLD;
  info.si_code = CLD_EXITED;
  info.si_pid = 4;
  EXPECT_FALSE(exit_told_by(info)) << "one of many, perhaps";
}

/// Nothing has happened for long enough.
LooksAtAll after_a_look() {
  LooksAtAll looks;
  looks.looked(false, 0us);
  return looks;
}

TEST(LooksAtAll, OneIsDueNowAndThen) {
  const auto before = sys::Clock::now();
  const LooksAtAll looks = after_a_look();
  EXPECT_GE(looks.next().when(), before + LooksAtAll::now_and_then);
  EXPECT_LE(looks.next().when(), sys::Clock::now() + LooksAtAll::now_and_then);
}

TEST(LooksAtAll, OneIsDueSoonAfterTheFirstThatHappened) {
  LooksAtAll looks = after_a_look();
  const auto before = sys::Clock::now();
  looks.something_happened();
  const auto due = looks.next().when();
  EXPECT_GE(due, before + LooksAtAll::soon);
  EXPECT_LE(due, sys::Clock::now() + LooksAtAll::soon);
  looks.something_happened();
  EXPECT_EQ(looks.next().when(), due) << "who goes on is not put off";
}

TEST(LooksAtAll, AtOnceMeansNow) {
  LooksAtAll looks = after_a_look();
  looks.something_happened();
  looks.at_once();
  EXPECT_TRUE(looks.next().passed());
}

TEST(LooksAtAll, WhereSomebodyWasFoundAnotherIsLookedFor) {
  LooksAtAll looks = after_a_look();
  looks.looked(true, 1h);
  EXPECT_TRUE(looks.next().passed());
}

TEST(LooksAtAll, WhatIsInVainIsASmallPartOfTheTime) {
  LooksAtAll looks;
  looks.at_once();
  const auto before = sys::Clock::now();
  looks.looked(false, 1min);
  looks.at_once();
  EXPECT_GE(looks.next().when(), before + LooksAtAll::rest_for_each * 1min);
}

}  // namespace
}  // namespace forkecho::server
