#include "common/mp/fork_onto.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <map>

#include "common/mp/own_stack.h"
#include "common/mp/raw_shared.h"
#include "common/mp/reap.h"
#include "tests/support/child.h"
#include "tests/support/leak_check.h"

namespace forkecho::mp {
namespace {

alignas(16) std::array<char, 64 * 1024> stack;  // NOLINT: a child has its own copy

void* stack_top() {
  return stack.data() + stack.size();
}

pid_t fork_onto_stack(ForkedFunction function, ForkedArguments arguments = {}) {
  return fork_onto(stack_top(), function, arguments, SIGCHLD);
}

struct Seen {
  std::atomic<pid_t> pid;
  std::atomic<std::uintptr_t> self;
  std::atomic<long> number;
  std::atomic<std::uintptr_t> local;
};

TEST(ForkOnto, TheChildIsToldWhatItIsFor) {
  const RawValue<Seen> seen;
  const int self = 0;
  const pid_t child = fork_onto_stack(
      [](const void* told_self, long number, void* what) {
        Seen& report = *static_cast<Seen*>(what);
        report.pid = getpid();
        report.self = reinterpret_cast<std::uintptr_t>(told_self);
        report.number = number;
        _exit(5);
      },
      {.self = &self, .number = -3'000'000'000, .what = &*seen});
  ASSERT_GT(child, 0);
  EXPECT_EQ(tests::exitcode_of(child), 5);
  EXPECT_EQ(seen->pid, child);
  EXPECT_EQ(seen->self, reinterpret_cast<std::uintptr_t>(&self));
  EXPECT_EQ(seen->number, -3'000'000'000);
}

TEST(ForkOnto, TheChildIsOnTheGivenStackAlignedAsTheAbiWants) {
  if (!has_own_stack) GTEST_SKIP() << "children stay on a copy of the stack in this build";
  const RawValue<Seen> seen;
  const pid_t child = fork_onto_stack(
      [](const void*, long, void* what) {
        alignas(16) volatile char local[16] = {};
        static_cast<Seen*>(what)->local = reinterpret_cast<std::uintptr_t>(&local[0]);
        _exit(0);
      },
      {.what = &*seen});
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_GT(seen->local, reinterpret_cast<std::uintptr_t>(stack.data()));
  EXPECT_LT(seen->local, reinterpret_cast<std::uintptr_t>(stack_top()));
  EXPECT_EQ(seen->local % 16, 0U);
}

TEST(ForkOnto, TheCallersMemoryIsItsOwn) {
  stack.fill('p');
  const pid_t child = fork_onto_stack([](const void*, long, void*) {
    stack[0] = 'c';
    _exit(stack[1] == 'p' ? 0 : 1);
  });
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(stack.front(), 'p');
  EXPECT_EQ(stack.back(), 'p');
}

TEST(ForkOnto, TheChildHasTheCallersMaskAndHandlers) {
  static std::atomic<int> handled;
  handled = 0;
  struct sigaction action {};
  struct sigaction action_before {};
  action.sa_handler = [](int) { ++handled; };
  sigaction(SIGUSR1, &action, &action_before);
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const pid_t child = fork_onto_stack([](const void*, long, void*) {
    kill(getpid(), SIGUSR1);
    if (handled != 0) _exit(1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    _exit(handled == 1 ? 0 : 2);
  });
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(handled, 0);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  sigaction(SIGUSR1, &action_before, nullptr);
}

TEST(ForkOnto, AnAbortEndsTheChildAlone) {
  const pid_t child = fork_onto_stack([](const void*, long, void*) {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &none);
    std::abort();
  });
  EXPECT_EQ(tests::exitcode_of(child), -SIGABRT);
}

TEST(ForkOnto, ARefusalIsAResult) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              // The limit spares root.
              const rlimit none{.rlim_cur = 0, .rlim_max = 0};
              setrlimit(RLIMIT_NPROC, &none);
              if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return 2;
              const pid_t child = fork_onto_stack([](const void*, long, void*) { _exit(0); });
              return child == -1 && errno == EAGAIN ? 0 : 1;
            }),
            0);
}

TEST(ForkOnto, EachEndComesAsTheSignalThatWasAskedFor) {
  constexpr int children = 20;
  sigset_t queued;
  sigset_t before;
  sigemptyset(&queued);
  sigaddset(&queued, SIGRTMIN);
  pthread_sigmask(SIG_BLOCK, &queued, &before);
  std::map<pid_t, int> expected;
  for (int i = 0; i < children; ++i) {
    expected[fork_onto(
        stack_top(), [](const void*, long number, void*) { _exit(static_cast<int>(number)); },
        {.number = i}, SIGRTMIN)] = i;
  }
  // All have ended before the first is heard: none is told of in the place of another.
  for (const auto& [pid, code] : expected) EXPECT_TRUE(tests::readable(open_sentinel(pid).get()));
  std::map<pid_t, int> told;
  siginfo_t info;
  const timespec at_once{};
  while (sigtimedwait(&queued, &info, &at_once) > 0) {
    EXPECT_EQ(info.si_code, CLD_EXITED);
    told[info.si_pid] = info.si_status;
    EXPECT_EQ(tests::exitcode_of(info.si_pid), info.si_status);
  }
  EXPECT_EQ(told, expected);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(ForkOnto, AThousandLeaveNothing) {
  const auto before = tests::current_holdings();
  for (int i = 0; i < 1000; ++i) {
    const pid_t child = fork_onto_stack(
        [](const void*, long number, void*) { _exit(static_cast<int>(number) % 100); },
        {.number = i});
    ASSERT_EQ(tests::exitcode_of(child), i % 100);
  }
  EXPECT_EQ(tests::differences(before, tests::current_holdings()), "");
}

}  // namespace
}  // namespace forkecho::mp
