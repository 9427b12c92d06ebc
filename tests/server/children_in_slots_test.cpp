#include "server/children_in_slots.h"

#include <gtest/gtest.h>

#include "tests/server/acceptor_parts.h"
#include "tests/server/peers.h"

namespace forkecho::server {
namespace {

/// Pids here are of nobody, where no signal is sent.
struct Table {
  explicit Table(bool keeps_sources = false) : children(slots, pages[0], keeps_sources) {}
  GenerationPages pages{1};
  SlotTable slots{4};
  ChildrenInSlots children;
};

TEST(ChildrenInSlots, AChildIsShownFromBeforeItsForkUntilItsSlotIsLeft) {
  Table t;
  t.slots[0].meter.bytes_in.set(77);
  const std::uint32_t index = t.children.take_slot(peer("10.0.0.7"), SlotState::serving);
  const Slot& slot = t.slots[index];
  EXPECT_EQ(slot.state.load(), SlotState::serving);
  EXPECT_EQ(slot.peer.to_string(), peer("10.0.0.7").to_string());
  EXPECT_EQ(slot.connections.get(), 1U);
  EXPECT_EQ(slot.meter.bytes_in.get(), 0U) << "of the one before";
  EXPECT_EQ(t.slots.used(), 1U);
  EXPECT_EQ(t.children.size(), 0U);
  t.children.enter(1001, index);
  EXPECT_EQ(slot.pid.load(), 1001);
  EXPECT_EQ(t.children.size(), 1U);
  EXPECT_EQ(t.children.remove(1001), index);
  EXPECT_EQ(t.children.remove(1001), std::nullopt);
  EXPECT_EQ(slot.state.load(), SlotState::serving) << "until it is booked";
  t.children.leave(index);
  EXPECT_EQ(slot.state.load(), SlotState::free);
  EXPECT_EQ(slot.pid.load(), 0);
  EXPECT_EQ(t.slots.used(), 0U);
  EXPECT_EQ(t.children.take_slot({}, SlotState::idle), index);
  EXPECT_EQ(slot.connections.get(), 0U) << "a spare has none yet";
}

TEST(ChildrenInSlots, ForksAreBookedWithTheTimeThatTheyTook) {
  Table t;
  const std::uint32_t index = t.children.take_slot({}, SlotState::serving);
  const auto since = t.children.entered(index);
  EXPECT_EQ(t.pages[0].book.forked.get(), 0U);
  const sys::Duration took = t.children.enter(1001, index);
  EXPECT_GE(took, sys::Duration::zero());
  EXPECT_LE(took, sys::Clock::now() - since);
  EXPECT_EQ(t.pages[0].book.forked.get(), 1U);
  EXPECT_EQ(t.pages[0].fork_times.read().count(), 1U);
  EXPECT_EQ(t.pages[0].fork_times.read().sum_ns, static_cast<std::uint64_t>(took.count()));
}

TEST(ChildrenInSlots, WhatAClientIsCountedByComesBackWithItsSlot) {
  Table t(true);
  const Source first = source_of(peer("10.0.0.1"));
  const Source second = source_of(peer("10.0.0.2"));
  const std::uint32_t a = t.children.take_slot(peer("10.0.0.1"), SlotState::serving, first);
  const std::uint32_t b = t.children.take_slot(peer("10.0.0.2"), SlotState::serving, second);
  EXPECT_EQ(t.children.leave(a), first);
  EXPECT_EQ(t.children.leave(b), second);
  Table none(false);
  EXPECT_EQ(none.children.leave(none.children.take_slot({}, SlotState::serving, first)),
            Source::uncounted);
}

TEST(ChildrenInSlots, AllAreLookedAtOnlyWhereThereAreSome) {
  Table t;
  EXPECT_TRUE(t.children.next_look().is_never());
  const std::uint32_t index = t.children.take_slot({}, SlotState::serving);
  t.children.looks().looked(false, sys::Duration::zero());
  t.children.enter(1001, index);
  EXPECT_LE(t.children.next_look().when(), sys::Clock::now() + LooksAtAll::soon)
      << "one that was made may end";
}

TEST(ChildrenInSlots, WhatAChildScribbledOverIsRepaired) {
  Table t;
  const std::uint32_t serving = t.children.take_slot({}, SlotState::serving);
  const std::uint32_t idle = t.children.take_slot({}, SlotState::idle);
  t.children.enter(1001, serving);
  t.children.enter(1002, idle);
  for (Slot& slot : t.slots.all()) {
    slot.pid = 1;
    slot.state = static_cast<SlotState>(77);
  }
  t.children.repair([](pid_t pid) { return pid == 1002; });
  EXPECT_EQ(t.slots[serving].pid.load(), 1001);
  EXPECT_EQ(t.slots[serving].state.load(), SlotState::serving);
  EXPECT_EQ(t.slots[idle].pid.load(), 1002);
  EXPECT_EQ(t.slots[idle].state.load(), SlotState::idle);
  EXPECT_EQ(t.slots[3].state.load(), SlotState::free) << "nobody is there";
}

TEST(ChildrenInSlots, AllOfThemAreTold) {
  in_a_process_of_its_own([] {
    AcceptorParts parts;
    const tests::Pipe never;
    std::array<pid_t, 2> pids{};
    for (pid_t& pid : pids) {
      const std::uint32_t index = parts.children.take_slot({}, SlotState::serving);
      pid = tests::start_blocked_child([&] { return tests::readable(never.read.get()) ? 1 : 0; });
      parts.children.enter(pid, index);
    }
    parts.children.tell_all(SIGKILL);
    for (const pid_t pid : pids) EXPECT_EQ(tests::exitcode_of(pid), -SIGKILL);
    for (const pid_t pid : pids) parts.children.remove(pid);
  });
}

}  // namespace
}  // namespace forkecho::server
