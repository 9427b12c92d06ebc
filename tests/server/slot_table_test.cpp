#include "server/slot_table.h"

#include <gtest/gtest.h>

#include <csignal>
#include <random>
#include <set>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/soak.h"

namespace forkecho::server {
namespace {

std::set<std::size_t> visited(const SlotTable& table, std::uint64_t most = ~std::uint64_t{0}) {
  std::set<std::size_t> slots;
  table.visit_used(most, [&](Slot& slot) {
    EXPECT_TRUE(slots.insert(static_cast<std::size_t>(&slot - table.all().data())).second);
  });
  return slots;
}

TEST(SlotTable, BeginsWithEmptySlotsOfWhichNoneIsInUse) {
  const SlotTable table(3);
  EXPECT_EQ(table.size(), 3U);
  EXPECT_EQ(table.used(), 0U);
  for (const Slot& slot : table.all()) {
    EXPECT_EQ(slot.state.load(), SlotState::free);
    EXPECT_EQ(slot.pid.load(), 0);
    EXPECT_EQ(slot.connections.get(), 0U);
  }
  EXPECT_TRUE(visited(table).empty());
}

TEST(SlotTable, HasThoseThatAreInUse) {
  constexpr std::uint32_t size = 50;
  SlotTable table(size);
  std::set<std::size_t> model;
  std::minstd_rand random(7);
  for (int i = 0; i < tests::soak(5000, 500'000); ++i) {
    const auto slot = static_cast<std::uint32_t>(random() % size);
    if (model.contains(slot)) {
      table.leave(slot);
      table[slot].enter(SlotState::free);
      model.erase(slot);
    } else {
      table[slot].enter(SlotState::serving);
      table.use(slot);
      model.insert(slot);
    }
    ASSERT_EQ(table.used(), model.size());
    ASSERT_EQ(visited(table), model);
  }
}

TEST(SlotTable, ShowsNoMoreThanAskedForAndCountsTheRest) {
  SlotTable table(10);
  for (std::uint32_t i = 0; i < 6; ++i) {
    table[i].enter(i == 2 ? SlotState::free : SlotState::serving);
    table.use(i);
  }
  int shown = 0;
  const auto count = [&shown](Slot&) { ++shown; };
  EXPECT_EQ(table.visit_used(0, count), 6U);
  EXPECT_EQ(shown, 0);
  EXPECT_EQ(table.visit_used(3, count), 2U) << "one that says it is free is left out";
  EXPECT_EQ(shown, 3);
  EXPECT_EQ(table.visit_used(5, count), 0U);
  EXPECT_EQ(shown, 3 + 5);
}

TEST(SlotTable, WhatIsNoStateIsNotShown) {
  SlotTable table(2);
  table.use(0);
  table[0].state.store(static_cast<SlotState>(77));
  EXPECT_TRUE(visited(table).empty());
}

/// The process whose table it is may have gone wrong; the supervisor reads on.
TEST(SlotTable, NonsenseInItLeadsNowhere) {
  constexpr std::uint32_t size = 4;
  SlotTable table(size);
  for (std::uint32_t i = 0; i < size; ++i) {
    table[i].enter(SlotState::serving);
    table.use(i);
  }
  table.words()[0] = 1'000'000'000;  // how many
  EXPECT_EQ(table.used(), size);
  EXPECT_EQ(visited(table).size(), size);
  table.words()[4] = 1'000'000'000;  // the second of them
  EXPECT_EQ(visited(table).size(), size - 1);
}

TEST(SlotTable, ChildrenHaveTheSlotsAndNotTheList) {
  SlotTable table(4);
  table.keep_list_from_children();
  EXPECT_EQ(tests::exitcode_in_child([&] {
              table[1].enter(SlotState::serving);
              table.ended().add(table[1]);
              return 0;
            }),
            0);
  EXPECT_EQ(table[1].state.load(), SlotState::serving);
  std::vector<pid_t> noted;
  table.take_ended([&noted](pid_t pid) { noted.push_back(pid); });
  EXPECT_EQ(noted, std::vector<pid_t>{table[1].pid.load()});
  EXPECT_EQ(table.ended().last.load(), 0U);
  EXPECT_EQ(tests::exitcode_in_child([&] { return static_cast<int>(table.used()); }), -SIGSEGV);
  table.keep_from_children();
  EXPECT_EQ(tests::exitcode_in_child([&] { return static_cast<int>(table[1].pid.load()); }),
            -SIGSEGV);
}

}  // namespace
}  // namespace forkecho::server
