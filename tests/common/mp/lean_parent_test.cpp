#include "common/mp/lean_parent.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <memory>
#include <stdexcept>

#include "common/mp/fork_onto.h"
#include "common/mp/own_stack.h"
#include "tests/support/child.h"
#include "tests/support/leak_check.h"

namespace forkecho::mp {
namespace {

alignas(16) std::array<char, 64 * 1024> stack;  // NOLINT: a child has its own copy

/// A child that reads what is at `place`, and ends with it.
pid_t fork_reader(const volatile char* place) {
  return fork_onto(
      stack.data() + stack.size(),
      [](const void*, long, void* what) {
        const rlimit none{.rlim_cur = 0, .rlim_max = 0};
        setrlimit(RLIMIT_CORE, &none);
        _exit(*static_cast<const volatile char*>(what));
      },
      {.what = const_cast<char*>(place)}, SIGCHLD);
}

TEST(RunLean, RunsTheLoopOnAnotherStackAndComesBack) {
  char here = 0;
  std::uintptr_t there = 0;
  run_lean([&] {
    char local = 0;
    there = reinterpret_cast<std::uintptr_t>(&local);
    here = 7;
  });
  EXPECT_EQ(here, 7);
  if (has_own_stack) {
    const auto distance =
        static_cast<std::intptr_t>(there) - reinterpret_cast<std::intptr_t>(&here);
    EXPECT_GT(std::abs(distance), 1 << 20);
  }
}

TEST(RunLean, WhatIsThrownIsThrown) {
  EXPECT_THROW(run_lean([] { throw std::runtime_error("as thrown"); }), std::runtime_error);
}

TEST(RunLean, AChildDoesNotHaveTheLoopsStackButTheCallers) {
  if (!has_own_stack) GTEST_SKIP() << "children stay on a copy of the stack in this build";
  volatile char callers = 3;
  pid_t reads_loops = 0;
  pid_t reads_callers = 0;
  run_lean([&] {
    volatile char loops = 4;
    reads_loops = fork_reader(&loops);
    reads_callers = fork_reader(&callers);
  });
  EXPECT_EQ(tests::exitcode_of(reads_loops), -SIGSEGV);
  EXPECT_EQ(tests::exitcode_of(reads_callers), 3);
}

TEST(RunLean, CanBeUsedAgainAndLeavesNothing) {
  run_lean([] {});
  const auto before = tests::current_holdings();
  int runs = 0;
  for (int i = 0; i < 100; ++i) run_lean([&] { ++runs; });
  EXPECT_EQ(runs, 100);
  EXPECT_EQ(tests::differences(before, tests::current_holdings()), "");
}

TEST(RunLean, TheProcessorsNumberIsStillToBeHad) {
  run_lean([] { EXPECT_GE(sched_getcpu(), 0); });
}

/// The test itself is linked dynamically, where the heap stays; the daemon's children are looked at
/// in tests/e2e/forked_child_test.cpp.
TEST(KeepHeapFromChildren, TheParentKeepsItsHeap) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              const auto before = std::make_unique<std::array<char, 4096>>();
              before->fill('x');
              keep_heap_from_children();
              const auto after = std::make_unique<std::array<char, 4096>>(*before);
              return after->back() == 'x' ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace forkecho::mp
