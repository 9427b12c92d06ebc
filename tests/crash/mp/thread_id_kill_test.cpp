#include "common/mp/thread_id.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/kill_rounds.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

TEST(ThreadIdKilled, WhoIsKilledWhileItTakesANameHoldsNobodyUp) {
  prepare_thread_ids();
  const ThreadId mine = this_thread_id();
  const tests::KillCount kills;
  const int times = tests::soak(200, 2000);
  for (int i = 0; i < times; ++i) {
    ASSERT_EQ(tests::exitcode_in_child([&] {
                tests::kill_at_step("thread_id.take.held", kills);
                this_thread_id();
                return 0;
              }),
              -SIGKILL);
    const RawValue<std::atomic<ThreadId>> next;
    ASSERT_EQ(tests::exitcode_in_child([&] {
                *next = this_thread_id();
                return is_alive(mine) && is_alive(*next) ? 0 : 1;
              }),
              0);
    EXPECT_FALSE(is_alive(*next));
  }
  EXPECT_EQ(kills.count(), static_cast<unsigned>(times));
  EXPECT_EQ(this_thread_id(), mine);
}

TEST(ThreadIdKilled, AHalfMadeRowIsMadeAnew) {
  prepare_thread_ids();
  const tests::KillCount kills;
  tests::Gate leave;
  std::vector<pid_t> alive;
  // Children that live on use up the rows of the dead, so that new ones are made.
  for (int i = 0; i < 500 && kills.count() < 20; ++i) {
    for (const char* const step : {"thread_id.take.constructed", "none"}) {
      tests::Pipe until_named;  // closed by the child once it has a name, or by its death
      const pid_t child = tests::start_child([&] {
        tests::kill_at_step(step, kills);
        this_thread_id();
        until_named.write.reset();
        return leave.pass() ? 0 : 1;
      });
      until_named.write.reset();
      ASSERT_TRUE(tests::readable(until_named.read.get()));
      alive.push_back(child);
    }
  }
  EXPECT_EQ(kills.count(), 20U);
  leave.open();
  unsigned killed = 0;
  for (const pid_t child : alive) killed += tests::exitcode_of(child) == -SIGKILL ? 1 : 0;
  EXPECT_EQ(killed, 20U);
}

}  // namespace
}  // namespace forkecho::mp
