#include "common/mp/holder_table.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <csignal>
#include <thread>
#include <vector>

#include "common/mp/lock.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"

namespace forkecho::mp {
namespace {

struct Count {
  int held;
};
using Table = HolderTable<Count>;

void settle_none(const Count&) {
  ADD_FAILURE() << "nobody is dead";
}

int sum_of(Table& table) {
  int sum = 0;
  table.for_each([&](const Count& count) { sum += count.held; });
  return sum;
}

/// A child that holds `amount` until it is killed; returns once it does.
pid_t start_holder(Table& table, int amount) {
  tests::Gate holds;
  const pid_t holder = tests::start_child([&] {
    table.mine(settle_none).held = amount;
    holds.open();
    pause();
    return 0;
  });
  EXPECT_TRUE(holds.pass());
  return holder;
}

void kill_and_reap(pid_t pid) {
  kill(pid, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(pid), -SIGKILL);
}

TEST(HolderTable, AThreadFindsItsOwnEntry) {
  Table table(4);
  EXPECT_EQ(table.find_mine(), nullptr);
  table.mine(settle_none).held = 5;
  EXPECT_EQ(table.find_mine()->held, 5);
  EXPECT_EQ(table.mine(settle_none).held, 5);
  std::thread([&] {
    EXPECT_EQ(table.find_mine(), nullptr);
    EXPECT_EQ(table.mine(settle_none).held, 0);
    table.drop_mine();
  }).join();
  table.drop_mine();
  EXPECT_EQ(table.find_mine(), nullptr);
  EXPECT_EQ(table.mine(settle_none).held, 0);  // the old row was left as it was
  table.drop_mine();
  table.drop_mine();  // nothing, when there is none
}

TEST(HolderTable, AForkedChildDoesNotHoldItsParentsRow) {
  Table table(4);
  table.mine(settle_none).held = 1;
  EXPECT_EQ(tests::exitcode_in_child([&] { return table.find_mine() == nullptr ? 0 : 1; }), 0);
  EXPECT_EQ(table.find_mine()->held, 1);
}

TEST(HolderTable, TheDeadAreSettledOnceAndTheLivingNot) {
  Table table(4);
  table.mine(settle_none).held = 1;
  const pid_t killed = start_holder(table, 10);
  const pid_t alive = start_holder(table, 100);
  kill_and_reap(killed);
  EXPECT_EQ(sum_of(table), 111);
  int living = 0;
  table.for_each_living([&](const Count& count) { living += count.held; });
  EXPECT_EQ(living, 101);
  int settled = 0;
  for (int i = 0; i < 2; ++i) table.settle_dead([&](const Count& count) { settled += count.held; });
  EXPECT_EQ(settled, 10);
  EXPECT_EQ(sum_of(table), 101);
  kill_and_reap(alive);
}

TEST(HolderTable, OneWhoIsKilledWhileItSettlesLeavesTheRowToTheNext) {
  Table table(4);
  kill_and_reap(start_holder(table, 10));
  EXPECT_EQ(tests::exitcode_in_child([&] {
              table.settle_dead([](const Count&) { raise(SIGKILL); });
              return 0;
            }),
            -SIGKILL);
  int settled = 0;
  table.settle_dead([&](const Count& count) { settled += count.held; });
  EXPECT_EQ(settled, 10);
}

TEST(HolderTable, AFullTableSettlesTheDeadAndThenRefuses) {
  Table table(2);
  const pid_t alive = start_holder(table, 1);
  kill_and_reap(start_holder(table, 10));
  int settled = 0;
  table.mine([&](const Count& count) { settled += count.held; }).held = 2;
  EXPECT_EQ(settled, 10);
  std::thread([&] { EXPECT_THROW(table.mine(settle_none), std::length_error); }).join();
  EXPECT_EQ(sum_of(table), 3);
  kill_and_reap(alive);
}

TEST(HolderTable, ItsCostFollowsThoseWhoHoldNow) {
  Table table(100);
  std::vector<pid_t> holders;
  for (int i = 0; i < 5; ++i) holders.push_back(start_holder(table, 1));
  EXPECT_EQ(table.rows_in_use(), 5U);
  for (const pid_t holder : holders) kill_and_reap(holder);
  table.settle_dead([](const Count&) {});
  EXPECT_EQ(table.rows_in_use(), 0U);
}

TEST(HolderTable, SettlingSeldomLooksAgainAfterAPause) {
  Table table(4);
  int settled = 0;
  const auto count_settled = [&](const Count&) { ++settled; };
  table.settle_dead(count_settled);
  kill_and_reap(start_holder(table, 1));
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
    table.settle_dead_seldom(count_settled);
    return settled == 1;
  }));
  kill_and_reap(start_holder(table, 1));
  const auto begin = sys::Clock::now();
  table.settle_dead(count_settled);
  EXPECT_EQ(settled, 2);
  kill_and_reap(start_holder(table, 1));
  table.settle_dead_seldom(count_settled);
  const bool within_the_pause = sys::Clock::now() - begin < longest_sleep / 2;
  EXPECT_TRUE(settled == 2 || !within_the_pause);
}

TEST(HolderTable, MayBeDestroyedWhileThreadsHoldRows) {
  Lock other;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              {
                Table table(4);
                table.mine(settle_none).held = 1;
              }
              other.acquire();
              return 0;
            }),
            0);
  EXPECT_EQ(other.acquire(tests::patience()), Acquired::owner_died);
  other.release();
}

}  // namespace
}  // namespace forkecho::mp
