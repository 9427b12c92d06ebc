#include "common/mp/raw_shared.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

#include "tests/support/child.h"

namespace forkecho::mp {
namespace {

struct Slot {
  std::uint64_t served = 7;
  std::int32_t pid = -1;
};

TEST(RawArray, IsValueInitialised) {
  const RawArray<int> zeros(1000);
  for (const int element : zeros.all()) ASSERT_EQ(element, 0);
  const RawArray<Slot> slots(3);
  EXPECT_EQ(slots.size(), 3U);
  for (const Slot& slot : slots.all()) {
    EXPECT_EQ(slot.served, 7U);
    EXPECT_EQ(slot.pid, -1);
  }
}

TEST(RawArray, EachChildWritesItsOwnElement) {
  const RawArray<Slot> slots(4);
  std::vector<pid_t> children;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    children.push_back(tests::start_child([&, i] {
      slots[i].served = 100 + i;
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  for (std::size_t i = 0; i < slots.size(); ++i) EXPECT_EQ(slots[i].served, 100 + i);
}

TEST(RawArray, AtomicsCountAcrossProcesses) {
  const RawArray<std::atomic<int>> counts(1);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(tests::start_child([&] {
      for (int n = 0; n < 50'000; ++n) counts[0].fetch_add(1, std::memory_order_relaxed);
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(counts[0], 200'000);
}

TEST(RawArray, MayBeEmpty) {
  EXPECT_TRUE(RawArray<int>(0).all().empty());
}

TEST(RawArray, ACountBeyondAllMemoryIsRefused) {
  // 2^62 + 1 elements of 4 bytes are 4 bytes, to a multiplication that overflows.
  EXPECT_THROW(RawArray<int>((std::size_t{1} << 62) + 1), std::bad_array_new_length);
}

TEST(RawValue, IsReachedLikeAPointer) {
  const RawValue<Slot> slot;
  slot->pid = 5;
  EXPECT_EQ((*slot).pid, 5);
  EXPECT_EQ((*slot).served, 7U);
}

TEST(RawValue, AMoveKeepsTheObject) {
  RawValue<int> first;
  *first = 3;
  const RawValue<int> second(std::move(first));
  EXPECT_EQ(*second, 3);
}

}  // namespace
}  // namespace forkecho::mp
