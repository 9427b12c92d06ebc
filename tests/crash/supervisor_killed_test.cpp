// kill -9 of the supervisor, at any moment: within a second nothing below it lives, and the next
// daemon can have the same port, control socket and pid file.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <random>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

std::string titles_of(const std::vector<ProcessView>& processes) {
  std::string titles;
  for (const ProcessView& view : processes)
    titles += std::to_string(view.pid) + " " + title_of(view.pid) + "\n";
  return titles;
}

void expect_that_nothing_lives_below(pid_t supervisor) {
  eventually(patience(), [&] { return living_below(supervisor).empty(); });
  const auto living = living_below(supervisor);
  EXPECT_TRUE(living.empty()) << titles_of(living);
}

/// An address that stays the same from daemon to daemon.
std::string free_target() {
  return DaemonUnderTest().target();
}

DaemonUnderTest::Options at(const std::string& target, const TempDir& directory, int round) {
  return {.arguments = all_modes[static_cast<std::size_t>(round) % all_modes.size()].arguments,
          .listen = {target},
          .control = directory.path("d.sock"),
          .program = {}};
}

TEST(SupervisorKilled, UnderLoadNothingBelowItLivesASecondLaterAndThePortBindsAgain) {
  const TempDir directory;
  const std::string target = free_target();
  ClientSwarm swarm({.target = target, .holding = 4, .fresh = 4});
  std::mt19937 random(static_cast<unsigned>(getpid()));
  SCOPED_TRACE("seed " + std::to_string(getpid()));
  std::size_t most_below = 0;
  for (int round = 0; round < soak(30, 300); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    DaemonUnderTest daemon(at(target, directory, round));
    const std::uint64_t before = swarm.totals().replies;
    ASSERT_TRUE(eventually(patience(), [&] { return swarm.totals().replies > before; }));
    poll(nullptr, 0, static_cast<int>(random() % 40));
    most_below = std::max(most_below, living_below(daemon.pid()).size());
    daemon.signal(SIGKILL);
    ASSERT_EQ(daemon.wait(), -SIGKILL);
    expect_that_nothing_lives_below(daemon.pid());
  }
  EXPECT_GE(most_below, 5U) << "there was little to kill";
  EXPECT_TRUE(swarm.stop());
  EXPECT_EQ(swarm.totals().wrong, 0U);
}

TEST(SupervisorKilled, WhileItStartsOrStopsTheNextOneStarts) {
  const TempDir directory;
  const std::string target = free_target();
  std::mt19937 random(static_cast<unsigned>(getpid()));
  SCOPED_TRACE("seed " + std::to_string(getpid()));
  for (int round = 0; round < soak(20, 300); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Arguments arguments{"run", "--listen", target, "--control", directory.path("d.sock")};
    const ModeUnderTest& mode = all_modes[static_cast<std::size_t>(round) % all_modes.size()];
    arguments.insert(arguments.end(), mode.arguments.begin(), mode.arguments.end());
    Program program(forkechod, arguments, {.input = {}, .before_exec = {}, .own_session = true});
    poll(nullptr, 0, static_cast<int>(random() % 12));
    if (round % 2 == 1) {
      program.signal(SIGTERM);
      poll(nullptr, 0, static_cast<int>(random() % 12));
    }
    program.signal(SIGKILL);
    ASSERT_TRUE(program.wait());
    expect_that_nothing_lives_below(program.pid());
  }
  DaemonUnderTest daemon(at(target, directory, 1));
  EXPECT_EQ(TestClient(target).ask("alive").data, "ALIVE");
}

}  // namespace
}  // namespace forkecho::tests
