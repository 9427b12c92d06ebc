// Rotation of the log by others: rename, then USR1 or `forkechod reopen-logs`.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

std::size_t count_in(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

class ReopenLogs : public testing::TestWithParam<ModeUnderTest> {
 protected:
  std::string file() const { return directory_.path("forkechod.log"); }
  Outcome ask(const DaemonUnderTest& daemon) const {
    return run_program(forkechod, {"reopen-logs", "--control", daemon.control()});
  }
  /// Processes of the daemon that have `path` open.
  static std::vector<pid_t> users_of(const DaemonUnderTest& daemon, const std::string& path) {
    std::vector<pid_t> users;
    for (const ProcessView& view : processes_of_session(daemon.pid())) {
      for (const auto& [fd, what] : descriptors_of(view.pid)) {
        if (what == path) users.push_back(view.pid);
      }
    }
    return users;
  }
  TempDir directory_;
};
INSTANTIATE_TEST_SUITE_P(Modes, ReopenLogs,
                         testing::Values(mode_named("iterative"), mode_named("fork"),
                                         mode_named("pool"), mode_named("event")),
                         name_of_mode);

TEST_P(ReopenLogs, WhenItReturnsTheOldFileIsFreeAndTheNewOneSaysSo) {
  DaemonUnderTest daemon(GetParam(), {"--log-file", file()});
  TestClient held(daemon.target());
  ASSERT_EQ(held.ask("x").data, "X");
  EXPECT_EQ(users_of(daemon, file()), std::vector<pid_t>{daemon.pid()});
  const std::string old = directory_.path("forkechod.log.1");
  std::filesystem::rename(file(), old);
  EXPECT_EQ(ask(daemon).exitcode, 0);
  EXPECT_TRUE(users_of(daemon, old).empty());
  EXPECT_EQ(users_of(daemon, file()), std::vector<pid_t>{daemon.pid()});
  EXPECT_NE(content_of(file()).find("no process writes to the old one any more"),
            std::string::npos);
  const std::string left = content_of(old);
  EXPECT_EQ(held.ask("x").data, "X");
  held.close();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(content_of(old), left);
  EXPECT_NE(content_of(file()).find("books: accepted 1"), std::string::npos);
}

TEST_P(ReopenLogs, BySignalToo) {
  DaemonUnderTest daemon(GetParam(), {"--log-file", file()});
  for (int round = 0; round < 5; ++round) {
    std::filesystem::rename(file(), directory_.path("old"));
    daemon.signal(SIGUSR1);
    EXPECT_TRUE(eventually(patience(), [&] {
      return content_of(file()).find("opened anew") != std::string::npos;
    })) << round;
  }
  EXPECT_EQ(daemon.status()["state"], "running");
}

TEST_P(ReopenLogs, AFileThatCannotBeOpenedIsToldAndTheOldOneStays) {
  std::filesystem::create_directory(directory_.path("logs"));
  const std::string path = directory_.path("logs/forkechod.log");
  DaemonUnderTest daemon(GetParam(), {"--log-file", path});
  std::filesystem::rename(directory_.path("logs"), directory_.path("moved"));
  const Outcome outcome = ask(daemon);
  EXPECT_EQ(outcome.exitcode, 71);
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
  EXPECT_NE(outcome.err.find(path), std::string::npos);
  EXPECT_NE(content_of(directory_.path("moved/forkechod.log")).find("stays in use"),
            std::string::npos);
}

TEST_P(ReopenLogs, StandardErrorIsNothingToOpen) {
  DaemonUnderTest daemon(GetParam());
  EXPECT_EQ(ask(daemon).exitcode, 0);
  EXPECT_NE(daemon.log().find("standard error"), std::string::npos);
}

/// An acceptor writes a line for each child that is killed; the file is renamed again and again.
TEST(ReopenLogsUnderWay, NoLineIsLostTornOrWrittenToAFreeFile) {
  const TempDir directory;
  const auto file = [&](int number) {
    return directory.path("log" + (number == 0 ? "" : "." + std::to_string(number)));
  };
  DaemonUnderTest daemon(mode_named("fork"), {"--log-file", file(0)});
  const int rotations = soak(20, 300);
  std::size_t kills = 0;
  std::vector<std::string> freed;
  for (int rotation = 1; rotation <= rotations; ++rotation) {
    std::vector<TestClient> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back(daemon.target());
      ASSERT_EQ(clients.back().ask("x").data, "X");
    }
    std::filesystem::rename(file(0), file(rotation));
    for (const ProcessView& view : living_below(daemon.pid())) {
      if (title_of(view.pid).find("serving") == std::string::npos) continue;
      kill(view.pid, SIGKILL);
      ++kills;
    }
    const Outcome outcome = run_program(forkechod, {"reopen-logs", "--control", daemon.control()});
    ASSERT_EQ(outcome.exitcode, 0) << outcome.err;
    freed.push_back(content_of(file(rotation)));
    ASSERT_TRUE(eventually(patience(), [&] { return daemon.books().crashed == kills; }));
  }
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_GE(kills, static_cast<std::size_t>(rotations) * 4);
  std::string all = content_of(file(0));
  for (int rotation = 1; rotation <= rotations; ++rotation) {
    const std::string content = content_of(file(rotation));
    EXPECT_EQ(content, freed[static_cast<std::size_t>(rotation) - 1]) << "written to when free";
    all += content;
  }
  EXPECT_EQ(count_in(all, "was ended by signal 9; its connection is lost\n"), kills);
}

}  // namespace
}  // namespace forkecho::tests
