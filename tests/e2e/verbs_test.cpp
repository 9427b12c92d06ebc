// start, stop, status and run as a user calls them: what they return, when, and what they leave.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>

#include "common/mp/reap.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/proves.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

class Verbs : public testing::Test {
 protected:
  ~Verbs() override {
    // `start` makes daemons that are nobody's children.
    for (const pid_t pid : started_) kill(pid, SIGKILL);
    for (const pid_t pid : started_) {
      EXPECT_TRUE(
          eventually(patience(), [pid] { return is_gone(pid) && living_below(pid).empty(); }));
    }
  }

  static bool is_gone(pid_t pid) {
    for (const ProcessView& view : processes_of_session(pid)) {
      if (view.pid == pid && !view.dead()) return false;
    }
    return true;
  }
  Outcome call(const std::string& verb, Arguments arguments = {}) {
    arguments.insert(arguments.begin(), {verb, "--control", control()});
    return run_program(forkechod, arguments);
  }
  Outcome start(Arguments arguments = {"--listen", "127.0.0.1:0"}) {
    const Outcome outcome = call("start", std::move(arguments));
    if (outcome.exitcode == 0) started_.push_back(status()["pid"]);
    return outcome;
  }
  nlohmann::json status() { return nlohmann::json::parse(call("status", {"--json"}).out); }
  std::string target() { return status()["listen"][0]; }
  std::string control() const { return directory_.path("d.sock"); }
  std::string pidfile() const { return directory_.path("d.pid"); }
  static bool exists(const std::string& path) { return std::filesystem::exists(path); }

  TempDir directory_;
  std::vector<pid_t> started_;
};

/// Where the first three descriptors of a process lead to.
std::vector<std::string> standard_files_of(pid_t pid) {
  std::vector<std::string> files;
  for (const char* fd : {"0", "1", "2"})
    files.push_back(
        std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/fd/" + fd).string());
  return files;
}

void expect_refusal(const Outcome& outcome, int exitcode, const std::string& telling) {
  EXPECT_EQ(outcome.exitcode, exitcode);
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
  EXPECT_NE(outcome.err.find(telling), std::string::npos) << outcome.err;
}

/// A pipe of start's, as of `forkechod start | logger`, would otherwise never end.
TEST_F(Verbs, NobodyBelowStartKeepsItsOutputOpen) {
  ASSERT_EQ(start().exitcode, 0);
  const pid_t daemon = status()["pid"];
  const auto processes = processes_of_session(daemon);
  ASSERT_GE(processes.size(), 2U) << "the supervisor and its acceptor";
  const std::vector<std::string> nothing(3, "/dev/null");
  for (const ProcessView& process : processes)
    EXPECT_EQ(standard_files_of(process.pid), nothing) << process.pid;
}

TEST_F(Verbs, StartReturnsWhenItListensAndStopWhenItIsGone) {
  const Outcome started = start();
  ASSERT_EQ(started.exitcode, 0) << started.err;
  EXPECT_EQ(started.err, "");
  const std::string address = target();
  TestClient client(address);
  EXPECT_EQ(client.ask("there").data, "THERE");
  client.close();
  const pid_t pid = status()["pid"];
  EXPECT_EQ(content_of(pidfile()), std::to_string(pid) + "\n");
  EXPECT_EQ(getsid(pid), pid) << "it shall have left the terminal's session";
  const Outcome stopped = call("stop");
  EXPECT_EQ(stopped.exitcode, 0) << stopped.err;
  EXPECT_TRUE(is_gone(pid));
  EXPECT_TRUE(living_below(pid).empty());
  EXPECT_EQ(TestClient(address).error(), ECONNREFUSED);
  EXPECT_FALSE(exists(pidfile()));
  EXPECT_FALSE(exists(control()));
}

TEST_F(Verbs, StatusIsReadableAndAsJson) {
  ASSERT_EQ(start().exitcode, 0);
  const Outcome text = call("status");
  EXPECT_EQ(text.exitcode, 0);
  EXPECT_NE(text.out.find("mode fork"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find(target()), std::string::npos) << text.out;
  const auto json = status();
  for (const char* key : {"version", "pid", "mode", "state", "uptime_s", "listen", "connections",
                          "bytes", "children", "slots", "slots_omitted"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["state"], "running");
}

TEST_F(Verbs, APortInUseIsToldByRunAndStart) {
  DaemonUnderTest other;
  const Outcome started = start({"--listen", other.target()});
  expect_refusal(started, 69, other.target());
  expect_refusal(call("run", {"--listen", other.target()}), 69, other.target());
  EXPECT_FALSE(exists(pidfile()));
  EXPECT_FALSE(exists(control()));
}

TEST_F(Verbs, BadOptionsAreUsageErrors) {
  for (const Arguments& bad : std::vector<Arguments>{{"--mode", "nonsense"},
                                                     {"--drain-timeout", "soon"},
                                                     {"--max-connections", "0"},
                                                     {"--no-such-option"},
                                                     {"--listen", "nonsense"},
                                                     {"--listen", "127.0.0.1:99999"},
                                                     {"--pool-max", "0"}}) {
    SCOPED_TRACE(testing::PrintToString(bad));
    expect_refusal(call("start", bad), 64, "");
    expect_refusal(call("run", bad), 64, "");
  }
  expect_refusal(run_program(forkechod, {}), 64, "");
  expect_refusal(run_program(forkechod, {"dance"}), 64, "");
  EXPECT_FALSE(exists(pidfile()));
}

TEST_F(Verbs, FilesThatCannotBeWrittenAreToldBeforeItRuns) {
  for (const char* option : {"--pidfile", "--log-file"}) {
    SCOPED_TRACE(option);
    const Arguments arguments{"--listen", "127.0.0.1:0", option, "/proc/none/file"};
    expect_refusal(call("start", arguments), 71, "/proc/none");
    expect_refusal(call("run", arguments), 71, "/proc/none");
    EXPECT_FALSE(exists(control()));
    EXPECT_FALSE(exists(pidfile()));
  }
  expect_refusal(
      run_program(forkechod, {"start", "--listen", "127.0.0.1:0", "--control", "/proc/none/d.sock",
                              "--pidfile", pidfile(), "--log-file", directory_.path("log")}),
      71, "/proc/none");
  EXPECT_FALSE(exists(pidfile()));
}

TEST_F(Verbs, ASecondStartIsRefusedAndTheFirstGoesOn) {
  ASSERT_EQ(start().exitcode, 0);
  const pid_t pid = status()["pid"];
  const Outcome second = call("start", {"--listen", "127.0.0.1:0"});
  expect_refusal(second, 69, "pid " + std::to_string(pid));
  EXPECT_EQ(TestClient(target()).ask("still").data, "STILL");
  EXPECT_EQ(content_of(pidfile()), std::to_string(pid) + "\n");
}

TEST_F(Verbs, WhatAKilledDaemonLeftIsRecovered) {
  PROVES("3.12");
  const std::string unix_target = "unix:" + directory_.path("x.sock");
  ASSERT_EQ(start({"--listen", unix_target}).exitcode, 0);
  const pid_t pid = status()["pid"];
  kill(pid, SIGKILL);
  ASSERT_TRUE(eventually(patience(), [&] { return is_gone(pid) && living_below(pid).empty(); }));
  ASSERT_TRUE(exists(pidfile()) && exists(control()) && exists(directory_.path("x.sock")));
  expect_refusal(call("status"), 69, control());
  expect_refusal(call("stop"), 69, control());
  const Outcome again = start({"--listen", unix_target});
  ASSERT_EQ(again.exitcode, 0) << again.err;
  EXPECT_NE(status()["pid"], pid);
  EXPECT_EQ(TestClient(unix_target).ask("again").data, "AGAIN");
  EXPECT_EQ(call("stop").exitcode, 0);
  EXPECT_FALSE(exists(directory_.path("x.sock")));
}

TEST_F(Verbs, WithoutADaemonStopAndStatusSaySo) {
  expect_refusal(call("stop"), 69, control());
  expect_refusal(call("status"), 69, control());
  expect_refusal(call("status", {"--json"}), 69, control());
}

TEST_F(Verbs, StopWaitsForTheDrain) {
  ASSERT_EQ(start({"--listen", "127.0.0.1:0", "--drain-timeout", "10m"}).exitcode, 0);
  const pid_t pid = status()["pid"];
  TestClient holder(target());
  ASSERT_EQ(holder.ask("a").data, "A");
  expect_refusal(call("stop", {"--timeout", "100ms"}), 71, "drains");
  EXPECT_EQ(status()["state"], "draining");
  Program stop(forkechod, {"stop", "--control", control()});
  EXPECT_EQ(stop.wait(sys::Deadline::after(200ms)), std::nullopt);
  EXPECT_EQ(holder.ask("b").data, "B");
  holder.close();
  EXPECT_EQ(stop.wait(), 0) << stop.err();
  EXPECT_TRUE(is_gone(pid));
}

TEST_F(Verbs, StopNowDoesNotWait) {
  ASSERT_EQ(start({"--listen", "127.0.0.1:0", "--drain-timeout", "10m"}).exitcode, 0);
  const pid_t pid = status()["pid"];
  TestClient holder(target());
  ASSERT_EQ(holder.ask("a").data, "A");
  const Outcome stopped = call("stop", {"--now"});
  EXPECT_EQ(stopped.exitcode, 0) << stopped.err;
  EXPECT_TRUE(is_gone(pid));
  EXPECT_TRUE(eventually(patience(), [pid] { return living_below(pid).empty(); }));
}

TEST(Programs, SayTheirVersionAndHelp) {
  for (const std::string& program : {forkechod, forkecho}) {
    const Outcome version = run_program(program, {"--version"});
    EXPECT_EQ(version.exitcode, 0);
    EXPECT_TRUE(is_one_line(version.out)) << version.out;
    const Outcome help = run_program(program, {"--help"});
    EXPECT_EQ(help.exitcode, 0);
    EXPECT_GT(help.out.size(), 200U);
    EXPECT_EQ(help.err, "");
  }
}

}  // namespace
}  // namespace forkecho::tests
