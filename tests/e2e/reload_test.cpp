// HUP and `forkechod reload` under load: nobody is lost, and what was changed holds.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <fstream>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

unsigned generation_of(const nlohmann::json& status) {
  return status.at("generations").at(0).at("number");
}

class ReloadInEveryMode : public testing::TestWithParam<ModeUnderTest> {
 protected:
  static void reload(const DaemonUnderTest& daemon) {
    const Outcome outcome = run_program(forkechod, {"reload", "--control", daemon.control()});
    EXPECT_EQ(outcome.exitcode, 0) << outcome.err << daemon.log();
  }
  static bool reaches(DaemonUnderTest& daemon, unsigned generation) {
    return eventually(patience(), [&] { return generation_of(daemon.status()) >= generation; });
  }
};
INSTANTIATE_TEST_SUITE_P(Modes, ReloadInEveryMode, testing::ValuesIn(all_modes), name_of_mode);

TEST_P(ReloadInEveryMode, UnderLoadNobodyIsLost) {
  DaemonUnderTest daemon(GetParam());
  // One held connection is all that an iterative server would serve.
  const unsigned holding = GetParam().holds_others_up() ? 0 : 3;
  ClientSwarm swarm({.target = daemon.target(), .holding = holding, .fresh = 3, .persists = false});
  ASSERT_TRUE(swarm.wait_for_replies(10));
  const auto reloads = static_cast<unsigned>(soak(10, 100));
  for (unsigned i = 1; i <= reloads; ++i) {
    if (i % 2 == 0) {
      daemon.signal(SIGHUP);
      ASSERT_TRUE(reaches(daemon, i + 1)) << daemon.log();
    } else {
      reload(daemon);
    }
    ASSERT_TRUE(swarm.wait_for_replies(3)) << "after reload " << i << "\n" << daemon.log();
  }
  ASSERT_TRUE(swarm.stop());
  const ClientCounts clients = swarm.totals();
  SCOPED_TRACE(testing::PrintToString(clients) + "\n" + daemon.log());
  EXPECT_EQ(clients.not_connected, 0U);
  EXPECT_EQ(clients.resets, 0U);
  EXPECT_EQ(clients.wrong, 0U);
  EXPECT_EQ(clients.cut_short, 0U);
  EXPECT_EQ(clients.unanswered, 0U);
  EXPECT_EQ(clients.silent, 0U);
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->accepted, clients.connected);
  EXPECT_EQ(books->served, clients.connected);
  EXPECT_EQ(books->bytes_in, books->bytes_out);
  EXPECT_EQ(books->bytes_out, clients.bytes_received);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
  // Of all the generations one is left, and no process too many.
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.status()["generations"].size() == 1; }));
  EXPECT_EQ(generation_of(daemon.status()), reloads + 1);
  EXPECT_EQ(daemon.stop(), 0);
}

TEST_P(ReloadInEveryMode, WhileItDrainsItIsRefusedAndDisturbsNothing) {
  DaemonUnderTest daemon(GetParam());
  TestClient held(daemon.target());
  ASSERT_EQ(held.ask("a").data, "A");
  daemon.signal(SIGHUP);
  daemon.signal(SIGTERM);
  ASSERT_TRUE(eventually(patience(), [&] { return daemon.status()["state"] == "draining"; }));
  daemon.signal(SIGHUP);
  const Outcome outcome = run_program(forkechod, {"reload", "--control", daemon.control()});
  EXPECT_EQ(outcome.exitcode, 71);
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
  EXPECT_EQ(held.ask("b").data, "B");
  held.close();
  EXPECT_EQ(daemon.wait(), 0) << daemon.log();
}

class Reload : public testing::Test {
 protected:
  void configure(const std::string& text) const { std::ofstream(path()) << text; }
  std::string path() const { return directory_.path("forkechod.conf"); }
  Outcome reload(const DaemonUnderTest& daemon) const {
    return run_program(forkechod, {"reload", "--control", daemon.control()});
  }
  TempDir directory_;
};

TEST_F(Reload, NewConnectionsHaveTheNewConfigurationOldOnesKeepTheirs) {
  configure("transform = unicode\n");
  DaemonUnderTest daemon({"--config", path()});
  TestClient old(daemon.target());
  ASSERT_EQ(old.ask("hello").data, "HELLO");
  configure("transform = none\nidle-timeout = 150ms\n");
  EXPECT_EQ(reload(daemon).exitcode, 0);
  TestClient fresh(daemon.target());
  EXPECT_EQ(fresh.ask("hello").data, "hello");
  EXPECT_EQ(fresh.receive_to_end().heard, Heard::end);  // it was idle
  EXPECT_EQ(old.ask("hello").data, "HELLO");
  configure("");
  EXPECT_EQ(reload(daemon).exitcode, 0);
  EXPECT_EQ(TestClient(daemon.target()).ask("hello").data, "HELLO");
}

TEST_F(Reload, AFileThatCannotBeUsedChangesNothingAndIsTold) {
  configure("transform = none\n");
  DaemonUnderTest daemon({"--config", path()});
  const auto processes = daemon.accepting_processes();
  for (const char* bad : {"transform = lower\n", "tarnsform = ascii\n", "[section]\n",
                          "pool-max = 0\n", "transform\n"}) {
    SCOPED_TRACE(bad);
    configure(bad);
    const Outcome outcome = reload(daemon);
    EXPECT_EQ(outcome.exitcode, 78);
    EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
    EXPECT_NE(outcome.err.find(path()), std::string::npos) << outcome.err;
  }
  std::filesystem::remove(path());
  EXPECT_EQ(reload(daemon).exitcode, 78);
  EXPECT_NE(daemon.log().find("did you mean 'transform'"), std::string::npos);
  EXPECT_EQ(generation_of(daemon.status()), 1U);
  EXPECT_EQ(daemon.accepting_processes(), processes);
  EXPECT_EQ(TestClient(daemon.target()).ask("same").data, "same");
}

TEST_F(Reload, WhatCannotChangeIsNamedAndKept) {
  configure("transform = none\n");
  DaemonUnderTest daemon({"--config", path(), "--mode", "pool"});
  const std::string address = daemon.target();
  configure("transform = ascii\nlisten = \"127.0.0.1:1\"\nmode = fork\npidfile = /tmp/other\n");
  EXPECT_EQ(reload(daemon).exitcode, 0);
  EXPECT_NE(daemon.log().find("--pidfile cannot change"), std::string::npos) << daemon.log();
  EXPECT_EQ(daemon.log().find("--mode cannot change"), std::string::npos)
      << "the command line wins";
  EXPECT_EQ(daemon.status()["mode"], "pool");
  EXPECT_EQ(daemon.status()["listen"][0], address);
  EXPECT_EQ(TestClient(address).ask("it").data, "IT");
}

TEST_F(Reload, WithoutAFileTheProcessesAreFresh) {
  DaemonUnderTest daemon;
  const auto before = daemon.accepting_processes();
  daemon.signal(SIGHUP);
  EXPECT_TRUE(eventually(patience(), [&] { return generation_of(daemon.status()) == 2; }));
  EXPECT_TRUE(eventually(patience(), [&] {
    return daemon.status()["generations"].size() == 1 && daemon.accepting_processes().size() == 1;
  }));
  EXPECT_NE(daemon.accepting_processes(), before);
  EXPECT_NE(daemon.log().find("no --config"), std::string::npos);
}

/// What was in the file when the last signal was sent holds in the end.
TEST_F(Reload, NoSignalIsLostHoweverManyComeAtOnce) {
  configure("transform = unicode\n");
  DaemonUnderTest daemon({"--config", path()});
  for (int round = 0; round < soak(5, 100); ++round) {
    for (int i = 0; i < 5; ++i) daemon.signal(SIGHUP);
    const bool capitals = round % 2 == 1;
    configure(capitals ? "transform = unicode\n" : "transform = none\n");
    daemon.signal(SIGHUP);
    EXPECT_TRUE(eventually(patience(), [&] {
      return TestClient(daemon.target()).ask("x").data == (capitals ? "X" : "x");
    })) << daemon.log();
  }
}

TEST_F(Reload, TheLogsLevelChanges) {
  configure("log-level = error\n");
  DaemonUnderTest daemon({"--config", path()});
  EXPECT_EQ(daemon.log(), "");
  configure("log-level = info\n");
  EXPECT_EQ(reload(daemon).exitcode, 0);
  EXPECT_NE(daemon.log().find("reloaded: generation 2"), std::string::npos) << daemon.log();
}

TEST_F(Reload, TheBacklogChanges) {
  configure("backlog = 100\nmax-connections = 1\n");
  DaemonUnderTest daemon({"--config", path(), "--mode", "pool"});
  configure("backlog = 1\nmax-connections = 1\n");
  EXPECT_EQ(reload(daemon).exitcode, 0);
  TestClient served(daemon.target());
  ASSERT_EQ(served.ask("x").data, "X");
  std::vector<TestClient> queued;
  int connected = 0;
  for (int i = 0; i < 5; ++i) {
    queued.emplace_back(daemon.target(), sys::Deadline::after(50ms));
    connected += queued.back().connected();
  }
  EXPECT_LE(connected, 3);
}

TEST_F(Reload, TheLimitHoldsOverGenerations) {
  configure("max-connections = 3\n");
  DaemonUnderTest daemon({"--config", path()});
  std::vector<TestClient> held;
  for (int i = 0; i < 3; ++i) {
    held.emplace_back(daemon.target());
    ASSERT_EQ(held.back().ask("x").data, "X");
    EXPECT_EQ(reload(daemon).exitcode, 0);
  }
  TestClient waiting(daemon.target());
  EXPECT_EQ(waiting.ask("x", sys::Deadline::after(150ms)).heard, Heard::timed_out);
  EXPECT_EQ(daemon.books().active, 3U);
  configure("max-connections = 4\n");
  EXPECT_EQ(reload(daemon).exitcode, 0);
  EXPECT_EQ(waiting.receive(1).data, "X");
}

}  // namespace
}  // namespace forkecho::tests
