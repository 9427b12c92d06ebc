#include "common/mp/shared_memory.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "tests/support/child.h"

extern "C" char _end;  // NOLINT: the linker's name for the end of the program's data (end(3))

namespace forkecho::mp {
namespace {

volatile char* bytes(const SharedMemory& memory) {
  return static_cast<volatile char*>(memory.data());
}

TEST(SharedMemory, IsZeroAndBeginsAPage) {
  const SharedMemory memory(10'000);
  EXPECT_EQ(memory.size(), 10'000U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % page_size(), 0U);
  for (std::size_t i = 0; i < memory.size(); ++i) ASSERT_EQ(bytes(memory)[i], 0);
}

TEST(SharedMemory, WhatAChildWritesTheParentReads) {
  const SharedMemory memory(1);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              bytes(memory)[0] = 'c';
              return 0;
            }),
            0);
  EXPECT_EQ(bytes(memory)[0], 'c');
}

TEST(SharedMemory, MayBeEmpty) {
  const SharedMemory memory(0);
  EXPECT_EQ(memory.size(), 0U);
}

TEST(SharedMemory, MoreThanThereIsIsAnError) {
  EXPECT_THROW(SharedMemory(std::size_t{1} << 60), std::system_error);
}

/// A child that writes to it finds the page tables that it has anyway, also in a program that has
/// made and given back memory for a long time.
TEST(SharedMemory, ItsPlaceIsNearTheProgramsOwnData) {
  const auto is_near = [](const SharedMemory& memory) {
    const auto place = reinterpret_cast<std::uintptr_t>(memory.data());
    const auto program = reinterpret_cast<std::uintptr_t>(&_end);
    return place > program && place - program < std::uintptr_t{65} << 20;
  };
  if (!is_near(SharedMemory(1))) GTEST_SKIP() << "this kernel places it elsewhere";
  std::vector<SharedMemory> kept;
  for (int i = 0; i < 500; ++i) {
    const SharedMemory passing(1'300'000);
    EXPECT_TRUE(is_near(passing)) << i;
    if (i % 20 == 0) kept.emplace_back(5'000);
  }
  for (const SharedMemory& memory : kept) EXPECT_TRUE(is_near(memory));
}

TEST(SharedMemory, AMoveKeepsTheMapping) {
  SharedMemory first(1);
  bytes(first)[0] = 'm';
  const SharedMemory second(std::move(first));
  EXPECT_EQ(bytes(second)[0], 'm');
  EXPECT_EQ(first.data(), nullptr);  // NOLINT(bugprone-use-after-move): that is the question
}

TEST(SharedMemory, KeptFromChildrenTheyHaveNothingThere) {
  SharedMemory memory(1);
  memory.keep_from_children();
  EXPECT_EQ(tests::exitcode_in_child([&] {
              std::signal(SIGSEGV, SIG_DFL);
              return bytes(memory)[0];
            }),
            -SIGSEGV);
  bytes(memory)[0] = 'p';
  EXPECT_EQ(bytes(memory)[0], 'p');
}

TEST(SharedMemory, ReadOnlyForOneIsWritableForAnother) {
  SharedMemory memory(2 * page_size());
  const auto write_read_only = [&](std::size_t at) {
    return tests::exitcode_in_child([&, at] {
      memory.make_read_only(page_size(), page_size());
      bytes(memory)[at] = 'w';
      return 0;
    });
  };
  EXPECT_EQ(write_read_only(0), 0);
  EXPECT_EQ(write_read_only(page_size()), -SIGSEGV);
  bytes(memory)[page_size()] = 'p';
  EXPECT_EQ(bytes(memory)[0], 'w');
  EXPECT_EQ(bytes(memory)[page_size()], 'p');
}

}  // namespace
}  // namespace forkecho::mp
