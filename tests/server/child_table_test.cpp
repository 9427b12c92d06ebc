#include "server/child_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tests/support/child.h"
#include "tests/support/soak.h"

namespace forkecho::server {
namespace {

std::map<pid_t, std::uint32_t> content_of(ChildTable& table,
                                          const std::map<pid_t, std::uint32_t>& model) {
  std::map<pid_t, std::uint32_t> content;
  table.for_each_pid([&](pid_t pid) { content[pid] = model.contains(pid) ? model.at(pid) : ~0U; });
  return content;
}

/// Random inserts and removals, as children come and go, held against a std::map. Pids are taken
/// from a range that makes them collide.
void compare_with_map(std::uint32_t capacity, pid_t pid_range, unsigned seed) {
  ChildTable table(capacity);
  std::map<pid_t, std::uint32_t> model;
  std::set<std::uint32_t> taken;
  std::minstd_rand random(seed);
  for (int i = 0; i < tests::soak(20000, 1000000); ++i) {
    const pid_t pid = 1 + static_cast<pid_t>(random() % static_cast<unsigned>(pid_range));
    if (random() % 2 == 0 && model.size() < capacity && !model.contains(pid)) {
      const std::uint32_t slot = table.take_slot();
      ASSERT_LT(slot, capacity);
      ASSERT_TRUE(taken.insert(slot).second) << "slot " << slot << " was given twice";
      table.insert(pid, slot);
      model[pid] = slot;
    } else {
      const auto expected = model.find(pid);
      const auto slot = table.remove(pid);
      ASSERT_EQ(slot.has_value(), expected != model.end()) << "pid " << pid << ", step " << i;
      if (!slot) continue;
      ASSERT_EQ(*slot, expected->second);
      taken.erase(*slot);
      table.give_back(*slot);
      model.erase(expected);
    }
    ASSERT_EQ(table.size(), model.size());
  }
  EXPECT_EQ(content_of(table, model), model);
}

TEST(ChildTable, IsAMapUnderRandomOperations) {
  unsigned seed = 4711;
  for (const std::uint32_t capacity : {1U, 2U, 3U, 7U, 8U, 64U, 1000U}) {
    for (const pid_t pid_range : {4, 100, 4000000}) {
      SCOPED_TRACE(testing::Message() << "capacity " << capacity << ", pids to " << pid_range);
      compare_with_map(capacity, pid_range, ++seed);
    }
  }
}

TEST(ChildTable, HoldsAsManyAsItWasMadeFor) {
  constexpr std::uint32_t capacity = 5000;
  ChildTable table(capacity);
  std::set<std::uint32_t> slots;
  for (std::uint32_t i = 0; i < capacity; ++i) {
    const std::uint32_t slot = table.take_slot();
    slots.insert(slot);
    table.insert(static_cast<pid_t>(i * 7 + 1), slot);
  }
  EXPECT_EQ(table.size(), capacity);
  EXPECT_EQ(slots.size(), capacity);
  EXPECT_EQ(*slots.rbegin(), capacity - 1);
  EXPECT_EQ(table.remove(2), std::nullopt);
}

TEST(ChildTable, GivesTheSlotReturnedLastFirst) {
  ChildTable table(4);
  EXPECT_EQ(table.take_slot(), 0U);
  EXPECT_EQ(table.take_slot(), 1U);
  table.give_back(0);
  EXPECT_EQ(table.take_slot(), 0U);
  EXPECT_EQ(table.take_slot(), 2U);
}

TEST(ChildTable, ChildrenHaveNoPartInIt) {
  ChildTable table(8);
  table.insert(17, table.take_slot());
  // In the child the mapping is not there: to touch it is a fault.
  EXPECT_NE(tests::exitcode_in_child([&table] { return table.remove(17) ? 0 : 0; }), 0);
  EXPECT_EQ(table.remove(17), 0U);
}

TEST(ChildTable, TellsWhoServesFromWhere) {
  ChildTable table(4);
  table.insert(101, table.take_slot());
  const std::uint32_t slot = table.take_slot();
  table.insert(102, slot);
  std::map<pid_t, std::uint32_t> seen;
  table.for_each([&](pid_t pid, std::uint32_t its_slot) { seen[pid] = its_slot; });
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen.at(102), slot);
  EXPECT_NE(seen.at(101), slot);
}

}  // namespace
}  // namespace forkecho::server
