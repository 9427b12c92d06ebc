// A process that serves a connection on which nothing happens sleeps, whoever else connects: its
// context switches are counted. Where each connection wakes all processes that hold one (a listener
// that is left in a child's epoll, a lock that everybody waits for), N held connections make each
// new one N times as expensive.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/support/daemon_under_test.h"
#include "tests/support/processes.h"
#include "tests/support/server_side.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

constexpr int newcomers = 1'000;

class IdleProcess : public testing::TestWithParam<ModeUnderTest> {
 protected:
  void connect_newcomers(const DaemonUnderTest& daemon) {
    for (int i = 0; i < newcomers; ++i) {
      TestClient client(daemon.target());
      ASSERT_TRUE(client.connected()) << i << ": error " << client.error();
      if (GetParam().holds_others_up()) {
        ASSERT_TRUE(client.send("hello"));
      } else {
        ASSERT_EQ(client.ask("hello").data, "HELLO") << i;
      }
    }
  }

  void expect_sleep_of_one_while_others_connect(const Arguments& more) {
    DaemonUnderTest daemon(GetParam(), more);
    TestClient held(daemon.target());
    ASSERT_EQ(held.ask("hello").data, "HELLO");
    const pid_t pid = server_side_of(held.get(), daemon.pid()).pid;
    ASSERT_NE(pid, 0);
    ASSERT_TRUE(sleeps(pid));
    const std::uint64_t before = context_switches_of(pid);
    ASSERT_GT(before, 0U);
    ASSERT_NO_FATAL_FAILURE(connect_newcomers(daemon));
    EXPECT_EQ(context_switches_of(pid) - before, 0U);
    if (!GetParam().is_iterative()) {
      EXPECT_GT(daemon.books().accepted, newcomers / 2U);
    }
    EXPECT_EQ(held.ask("again").data, "AGAIN");
  }
};

TEST_P(IdleProcess, SleepsWhileOthersConnect) {
  expect_sleep_of_one_while_others_connect({});
}

/// It waits for input or its deadline, none of which comes.
TEST_P(IdleProcess, SleepsWhileOthersConnectWithDeadlines) {
  expect_sleep_of_one_while_others_connect(
      {"--first-byte-timeout", "1h", "--idle-timeout", "1h", "--max-lifetime", "1h"});
}

std::vector<ModeUnderTest> modes_with_a_process_for_each_connection() {
  std::vector<ModeUnderTest> modes;
  for (const ModeUnderTest& mode : all_modes) {
    if (!mode.is_event()) modes.push_back(mode);
  }
  return modes;
}

INSTANTIATE_TEST_SUITE_P(Modes, IdleProcess,
                         testing::ValuesIn(modes_with_a_process_for_each_connection()),
                         name_of_mode);

}  // namespace
}  // namespace forkecho::tests
