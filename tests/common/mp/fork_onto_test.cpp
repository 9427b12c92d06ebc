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

#include "common/mp/own_stack.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/leak_check.h"

namespace forkecho::mp {
namespace {

alignas(16) std::array<char, 64 * 1024> stack;  // NOLINT: a child has its own copy

void* stack_top() {
  return stack.data() + stack.size();
}

pid_t fork_onto_stack(ForkedFunction function, ForkedArguments arguments = {}) {
  return fork_onto(stack_top(), function, arguments);
}

struct Seen {
  std::atomic<pid_t> pid;
  std::atomic<std::uintptr_t> self;
  std::atomic<long> number;
  std::atomic<std::uintptr_t> second;
  std::atomic<std::uintptr_t> local;
};

TEST(ForkOnto, TheChildIsToldWhatItIsFor) {
  const RawValue<Seen> seen;
  const int self = 0;
  int second = 0;
  const pid_t child = fork_onto_stack(
      [](const void* told_self, long number, void* first, void* told_second) {
        Seen& report = *static_cast<Seen*>(first);
        report.pid = getpid();
        report.self = reinterpret_cast<std::uintptr_t>(told_self);
        report.number = number;
        report.second = reinterpret_cast<std::uintptr_t>(told_second);
        _exit(5);
      },
      {.self = &self, .number = -3'000'000'000, .first = &*seen, .second = &second});
  ASSERT_GT(child, 0);
  EXPECT_EQ(tests::exitcode_of(child), 5);
  EXPECT_EQ(seen->pid, child);
  EXPECT_EQ(seen->self, reinterpret_cast<std::uintptr_t>(&self));
  EXPECT_EQ(seen->number, -3'000'000'000);
  EXPECT_EQ(seen->second, reinterpret_cast<std::uintptr_t>(&second));
}

TEST(ForkOnto, TheChildIsOnTheGivenStackAlignedAsTheAbiWants) {
  if (!has_own_stack) GTEST_SKIP() << "fork_onto is _Fork in this build";
  const RawValue<Seen> seen;
  const pid_t child = fork_onto_stack(
      [](const void*, long, void* first, void*) {
        alignas(16) volatile char local[16] = {};
        static_cast<Seen*>(first)->local = reinterpret_cast<std::uintptr_t>(&local[0]);
        _exit(0);
      },
      {.first = &*seen});
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_GT(seen->local, reinterpret_cast<std::uintptr_t>(stack.data()));
  EXPECT_LT(seen->local, reinterpret_cast<std::uintptr_t>(stack_top()));
  EXPECT_EQ(seen->local % 16, 0U);
}

TEST(ForkOnto, TheCallersMemoryIsItsOwn) {
  stack.fill('p');
  const pid_t child = fork_onto_stack([](const void*, long, void*, void*) {
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
  const pid_t child = fork_onto_stack([](const void*, long, void*, void*) {
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
  const pid_t child = fork_onto_stack([](const void*, long, void*, void*) {
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
              const pid_t child =
                  fork_onto_stack([](const void*, long, void*, void*) { _exit(0); });
              return child == -1 && errno == EAGAIN ? 0 : 1;
            }),
            0);
}

TEST(ForkOnto, AThousandLeaveNothing) {
  const auto before = tests::current_holdings();
  for (int i = 0; i < 1000; ++i) {
    const pid_t child = fork_onto_stack(
        [](const void*, long number, void*, void*) { _exit(static_cast<int>(number) % 100); },
        {.number = i});
    ASSERT_EQ(tests::exitcode_of(child), i % 100);
  }
  EXPECT_EQ(tests::differences(before, tests::current_holdings()), "");
}

}  // namespace
}  // namespace forkecho::mp
