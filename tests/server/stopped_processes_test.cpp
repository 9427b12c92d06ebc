#include "server/stopped_processes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

pid_t start_idle_child(bool leads_group) {
  return tests::start_child([=] {
    if (leads_group) setpgid(0, 0);
    for (;;) pause();
    return 0;
  });
}

bool has_state(pid_t pid, char state) {
  return tests::eventually(tests::patience(), [=] { return tests::state_of(pid) == state; });
}

TEST(StoppedProcesses, AreSetGoingAgainAfterSomePatience) {
  StoppedProcesses stopped;
  const pid_t child = start_idle_child(false);
  ASSERT_TRUE(tests::stop_all({child}));
  auto now = sys::Clock::now();
  stopped.look(now);
  stopped.look(now + StoppedProcesses::patience - 1ms);
  EXPECT_EQ(tests::state_of(child), 'T');
  stopped.look(now + StoppedProcesses::patience);
  EXPECT_TRUE(has_state(child, 'S'));
  kill(child, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(child), -SIGKILL);
}

TEST(StoppedProcesses, WithThemTheirGroup) {
  StoppedProcesses stopped;
  const pid_t leader = start_idle_child(true);
  ASSERT_TRUE(tests::eventually(tests::patience(), [&] { return getpgid(leader) == leader; }));
  const pid_t member = start_idle_child(false);
  ASSERT_EQ(setpgid(member, leader), 0);
  kill(-leader, SIGSTOP);
  ASSERT_TRUE(has_state(leader, 'T'));
  ASSERT_TRUE(has_state(member, 'T'));
  const auto now = sys::Clock::now();
  stopped.look(now);
  stopped.look(now + StoppedProcesses::patience);
  EXPECT_TRUE(has_state(leader, 'S'));
  EXPECT_TRUE(has_state(member, 'S'));
  for (const pid_t pid : {leader, member}) {
    kill(pid, SIGKILL);
    EXPECT_EQ(tests::exitcode_of(pid), -SIGKILL);
  }
}

/// Its number may be another's by then.
TEST(StoppedProcesses, WhoHasEndedIsForgotten) {
  StoppedProcesses stopped;
  const pid_t child = start_idle_child(false);
  ASSERT_TRUE(tests::stop_all({child}));
  const auto now = sys::Clock::now();
  stopped.look(now);
  kill(child, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(child), -SIGKILL);
  stopped.look(now + StoppedProcesses::patience);
  stopped.look(now + 2 * StoppedProcesses::patience);
}

}  // namespace
}  // namespace forkecho::server
