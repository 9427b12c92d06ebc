#include "server/adopted_children.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <list>

#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"

namespace forkecho::server {
namespace {

/// Children of the test in a process group of their own, as a dead acceptor leaves them.
class AdoptedChildrenTest : public testing::Test {
 protected:
  AdoptedChildrenTest() { options_->mode = Mode::fork; }
  ~AdoptedChildrenTest() override {
    adopted().tell(SIGKILL);
    EXPECT_TRUE(tests::eventually(tests::patience(), [this] {
      adopted().look_after();
      return adopted().empty();
    }));
    EXPECT_TRUE(tests::children_of(getpid()).empty());
  }
  AdoptedChildren& adopted() {
    if (!adopted_) {
      pages_ = std::make_shared<GenerationPages>(2, *options_);
      adopted_.emplace(options_, pages_);
    }
    return *adopted_;
  }
  /// One more of the group; leaves with `exitcode` when its gate opens.
  pid_t fork_child(int exitcode) {
    tests::Gate& gate = gates_.emplace_back();
    const pid_t pid = tests::start_child([&gate, exitcode] { return gate.pass() ? exitcode : 99; });
    if (group_ == 0) group_ = pid;
    setpgid(pid, group_);
    return pid;
  }
  void end_all() {
    for (tests::Gate& gate : gates_) gate.open();
  }
  /// Slot 0, 1, 2 ... for each of `pids`, who serve.
  static std::unique_ptr<SlotTable> slots_of(const std::vector<pid_t>& pids) {
    auto slots = std::make_unique<SlotTable>(8);
    std::uint32_t next = 0;
    for (const pid_t pid : pids) {
      Slot& slot = (*slots)[next];
      slot.pid = pid;
      slot.peer.family = AF_INET;
      slot.peer.address[0] = 10;
      slot.meter.bytes_in.add(7);
      slot.enter(SlotState::serving);
      slots->use(next++);
    }
    return slots;
  }
  void adopt(const std::vector<pid_t>& pids, std::uint64_t open, pid_t booked = 0) {
    adopted().adopt({.group = group_,
                     .open = open,
                     .unreaped = pids.size(),
                     .booked = booked,
                     .slots = slots_of(pids)});
  }
  /// Takes in whoever ends until nobody is left.
  bool all_end() {
    return tests::eventually(tests::patience(), [this] {
      while (const auto ended = mp::peek_ended()) EXPECT_TRUE(adopted().take_ended(ended->pid));
      return adopted().empty();
    });
  }
  std::uint64_t published() const { return active_in(*pages_); }
  std::uint32_t of_source() const {
    return pages_->admission.sources->table(1).count(
        counted_source(slots_of({1})->all()[0].peer, {}));
  }

  std::shared_ptr<Options> options_ = std::make_shared<Options>();
  std::shared_ptr<GenerationPages> pages_;
  std::optional<AdoptedChildren> adopted_;
  std::list<tests::Gate> gates_;
  pid_t group_ = 0;
};

TEST_F(AdoptedChildrenTest, OfNobodyNobodyIsTaken) {
  EXPECT_TRUE(adopted().empty());
  const pid_t stranger = tests::start_child([] { return 0; });
  ASSERT_TRUE(tests::eventually(tests::patience(), [] { return mp::peek_ended().has_value(); }));
  EXPECT_FALSE(adopted().take_ended(stranger));
  EXPECT_EQ(tests::exitcode_of(stranger), 0) << "not reaped";
}

TEST_F(AdoptedChildrenTest, AreBookedByTheirOwnEnds) {
  const pid_t served = fork_child(static_cast<int>(Ending::served));
  const pid_t timed_out = fork_child(static_cast<int>(Ending::idle_timeout));
  const pid_t killed = fork_child(0);
  adopt({served, timed_out, killed}, 3);
  EXPECT_EQ(published(), 3U);
  EXPECT_EQ(adopted().booked().ended(), 0U);
  kill(killed, SIGKILL);
  end_all();
  ASSERT_TRUE(all_end());
  const BookTotals& booked = adopted().booked();
  EXPECT_EQ(booked.crashed, 1U);
  EXPECT_EQ(booked.served, 1U);
  EXPECT_EQ(booked.timed_out[1], 1U);
  EXPECT_EQ(booked.reaped, 3U);
  EXPECT_EQ(booked.accepted, 0U) << "that is in the acceptor's book";
  EXPECT_EQ(booked.bytes_in, 3U * 7);
  EXPECT_EQ(published(), 0U);
}

TEST_F(AdoptedChildrenTest, WhomTheAcceptorHasBookedIsOnlyReaped) {
  const pid_t booked = fork_child(static_cast<int>(Ending::served));
  const pid_t other = fork_child(static_cast<int>(Ending::idle_timeout));
  adopt({booked, other}, 1, booked);
  gates_.front().open();
  ASSERT_TRUE(tests::eventually(tests::patience(), [] { return mp::peek_ended().has_value(); }));
  EXPECT_TRUE(adopted().take_ended(booked));
  EXPECT_EQ(adopted().booked().ended(), 0U);
  EXPECT_EQ(adopted().booked().bytes_in, 0U);
  EXPECT_EQ(adopted().booked().reaped, 1U);
  end_all();
  ASSERT_TRUE(all_end());
  EXPECT_EQ(adopted().booked().timed_out[1], 1U);
  EXPECT_EQ(adopted().booked().ended(), 1U);
}

TEST_F(AdoptedChildrenTest, WhatHasNoProcessAnyMoreIsLost) {
  const pid_t child = fork_child(0);
  adopt({child}, 3);  // of two, the process went with the acceptor
  end_all();
  ASSERT_TRUE(all_end());
  EXPECT_EQ(adopted().booked().served, 1U);
  EXPECT_EQ(adopted().booked().crashed, 2U);
  EXPECT_EQ(published(), 0U);
}

TEST_F(AdoptedChildrenTest, ForkedAheadOneMayTakeItsClientAfterItsAcceptorsLastLook) {
  options_->mode = Mode::pool;
  options_->connections_per_worker_life = 1;
  const pid_t with_client = fork_child(0);
  const pid_t without = fork_child(unused_spare);
  adopt({with_client, without}, 0);
  // It hears that its acceptor is dead, and would leave; here it is the end of it.
  end_all();
  ASSERT_TRUE(all_end());
  EXPECT_EQ(adopted().booked().accepted, 1U);
  EXPECT_EQ(adopted().booked().served, 1U);
  EXPECT_EQ(adopted().booked().reaped, 2U);
}

TEST_F(AdoptedChildrenTest, HearSignals) {
  const pid_t child = fork_child(0);
  adopt({child}, 1);
  adopted().tell(SIGTERM);
  ASSERT_TRUE(all_end());
  EXPECT_EQ(adopted().booked().crashed, 1U);
}

TEST_F(AdoptedChildrenTest, TheirSourcesCountUntilTheirEnds) {
  options_->admission.max_per_source = 5;
  const pid_t child = fork_child(0);
  const pid_t other = fork_child(0);
  adopt({child, other}, 2);
  EXPECT_EQ(of_source(), 2U);
  end_all();
  ASSERT_TRUE(all_end());
  EXPECT_EQ(of_source(), 0U);
}

TEST_F(AdoptedChildrenTest, AreShownUpToALimitAndTheRestCounted) {
  const std::vector<pid_t> children{fork_child(0), fork_child(0), fork_child(0)};
  adopt(children, 3);
  int seen = 0;
  const auto count = [&](const Slot&) { ++seen; };
  EXPECT_EQ(adopted().visit_slots(10, count), 0U);
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(adopted().visit_slots(2, count), 1U);
  EXPECT_EQ(seen, 5);
  kill(children[2], SIGKILL);
  ASSERT_TRUE(tests::eventually(tests::patience(), [] { return mp::peek_ended().has_value(); }));
  EXPECT_TRUE(adopted().take_ended(children[2]));
  EXPECT_EQ(adopted().visit_slots(1, count), 1U) << "not the one that has ended since";
}

}  // namespace
}  // namespace forkecho::server
