#include "common/mp/thread_id.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"

namespace forkecho::mp {
namespace {

using SharedId = RawValue<std::atomic<ThreadId>>;

TEST(ThreadId, IsTheSameUntilTheThreadEnds) {
  const ThreadId mine = this_thread_id();
  EXPECT_NE(mine, ThreadId::none);
  EXPECT_EQ(this_thread_id(), mine);
  EXPECT_TRUE(is_alive(mine));
  EXPECT_FALSE(is_alive(ThreadId::none));
}

TEST(ThreadId, AThreadIsAliveUntilItEnds) {
  std::atomic<ThreadId> other = ThreadId::none;
  tests::Gate leave;
  std::thread thread([&] {
    other = this_thread_id();
    leave.pass();
  });
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] { return other != ThreadId::none; }));
  EXPECT_NE(other, this_thread_id());
  EXPECT_TRUE(is_alive(other));
  leave.open();
  thread.join();
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] { return !is_alive(other); }));
}

TEST(ThreadId, AForkedChildHasItsOwn) {
  prepare_thread_ids();
  const ThreadId mine = this_thread_id();
  const SharedId childs;
  tests::Gate born;
  tests::Gate leave;
  const pid_t child = tests::start_child([&] {
    *childs = this_thread_id();
    born.open();
    return leave.pass() && is_alive(mine) && this_thread_id() == *childs ? 0 : 1;
  });
  ASSERT_TRUE(born.pass());
  EXPECT_NE(childs->load(), mine);
  EXPECT_TRUE(is_alive(*childs));
  leave.open();
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_FALSE(is_alive(*childs));
  EXPECT_TRUE(is_alive(mine));
}

// Rows, and the kernel's thread ids, are used again; names are not.
TEST(ThreadId, IsNeverGivenTwice) {
  prepare_thread_ids();
  std::set<ThreadId> seen{this_thread_id()};
  for (int i = 0; i < 500; ++i) {
    const SharedId childs;
    ASSERT_EQ(tests::exitcode_in_child([&] {
                *childs = this_thread_id();
                return 0;
              }),
              0);
    EXPECT_TRUE(seen.insert(*childs).second);
    EXPECT_FALSE(is_alive(*childs));
  }
}

TEST(ThreadId, ThreadsThatComeAndGoUseTheRowsAgain) {
  const auto row_of = [](ThreadId id) { return static_cast<std::uint32_t>(id); };
  std::uint32_t highest = 0;
  for (int i = 0; i < 1000; ++i) {
    ThreadId other = ThreadId::none;
    std::thread([&] { other = this_thread_id(); }).join();
    highest = std::max(highest, row_of(other));
  }
  EXPECT_LT(highest, 700U);
}

}  // namespace
}  // namespace forkecho::mp
