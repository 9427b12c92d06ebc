// Socket activation: the test plays systemd. It holds the listening sockets and passes them to one
// daemon after another; clients that come in between wait in the sockets' queues.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/processes.h"
#include "tests/support/soak.h"
#include "tests/support/sockets.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using testing::HasSubstr;

/// A .socket unit.
class SocketUnit {
 public:
  explicit SocketUnit(const std::string& target)
      : socket_(sys::check_syscall(
            socket(address_of(target).family(), SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
    const auto address = address_of(target);
    sys::check_syscall(bind(socket_.get(), address.get(), address.length()), "bind");
    sys::check_syscall(listen(socket_.get(), 4096), "listen");
  }
  int fd() const { return socket_.get(); }
  std::string target() const { return sys::SocketAddress::local(fd()).to_string(); }

 private:
  sys::Descriptor socket_;
};

/// What systemd does between fork and exec.
ProgramOptions passing(const std::vector<int>& sockets) {
  ProgramOptions options;
  options.before_exec = [sockets] {
    std::vector<int> high;
    for (const int fd : sockets) high.push_back(fcntl(fd, F_DUPFD_CLOEXEC, 300));
    for (std::size_t i = 0; i < high.size(); ++i) dup2(high[i], 3 + static_cast<int>(i));
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(sockets.size()).c_str(), 1);
    setenv("LISTEN_FDNAMES", "echo", 1);
  };
  return options;
}

DaemonUnderTest::Options activated(const std::vector<int>& sockets,
                                   const Arguments& arguments = {}) {
  return {.arguments = arguments, .listen = {}, .control = {}, .program = passing(sockets)};
}

class ActivatedInEveryMode : public testing::TestWithParam<ModeUnderTest> {};
INSTANTIATE_TEST_SUITE_P(Modes, ActivatedInEveryMode,
                         testing::Values(mode_named("fork"), mode_named("fork_acceptors"),
                                         mode_named("pool"), mode_named("iterative"),
                                         mode_named("event")),
                         name_of_mode);

TEST_P(ActivatedInEveryMode, StopsAndStartsLoseNobody) {
  const SocketUnit unit("127.0.0.1:0");
  ClientSwarm clients({.target = unit.target(), .holding = 0, .fresh = 3});
  std::uint64_t accepted = 0;
  for (int i = 0; i < soak(3, 20); ++i) {
    DaemonUnderTest daemon(activated({unit.fd()}, GetParam().arguments));
    EXPECT_EQ(daemon.target(), unit.target());
    EXPECT_TRUE(clients.wait_for_replies(5));
    ASSERT_EQ(daemon.stop(), 0) << daemon.log();
    const auto books = books_in_log(daemon.log());
    ASSERT_TRUE(books);
    EXPECT_EQ(books->accepted, books->served);
    accepted += books->accepted;
  }
  DaemonUnderTest last(activated({unit.fd()}, GetParam().arguments));
  EXPECT_TRUE(clients.wait_for_replies(5));
  ASSERT_TRUE(clients.stop());
  const ClientCounts seen = clients.totals();
  EXPECT_EQ(seen.not_connected + seen.resets + seen.wrong + seen.cut_short + seen.unanswered +
                seen.silent + seen.never_answered,
            0U)
      << testing::PrintToString(seen);
  const auto rest = last.books_at_rest();
  ASSERT_TRUE(rest);
  EXPECT_EQ(accepted + rest->accepted, seen.connected);
}

TEST_P(ActivatedInEveryMode, SurvivesUpgradesToo) {
  const SocketUnit unit("127.0.0.1:0");
  ClientSwarm clients({.target = unit.target(), .holding = 1, .fresh = 2});
  if (GetParam().is_iterative()) GTEST_SKIP() << "serves one client at a time";
  DaemonUnderTest daemon(activated({unit.fd()}, GetParam().arguments));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(clients.wait_for_replies(3));
    const Outcome upgraded = run_program(forkechod, {"upgrade", "--control", daemon.control()});
    ASSERT_EQ(upgraded.exitcode, 0) << upgraded.err;
    EXPECT_EQ(daemon.status()["listen"][0], unit.target());
  }
  ASSERT_TRUE(clients.wait_for_replies(3));
  ASSERT_TRUE(clients.stop());
  const ClientCounts seen = clients.totals();
  EXPECT_EQ(seen.not_connected + seen.resets + seen.wrong + seen.cut_short + seen.unanswered +
                seen.silent,
            0U)
      << testing::PrintToString(seen);
  EXPECT_EQ(run_program(forkechod, {"stop", "--control", daemon.control()}).exitcode, 0);
  EXPECT_EQ(daemon.wait(), 0);
  // The door is the manager's still.
  EXPECT_TRUE(TestClient(unit.target()).connected());
}

TEST(SocketActivation, ASocketFileIsTheManagers) {
  const TempDir directory;
  const std::string path = directory.path("x.sock");
  const SocketUnit unix_unit("unix:" + path);
  const SocketUnit tcp_unit("127.0.0.1:0");
  {
    DaemonUnderTest daemon(activated({unix_unit.fd(), tcp_unit.fd()}));
    ASSERT_EQ(daemon.targets().size(), 2U);
    for (const std::string& target : daemon.targets())
      EXPECT_EQ(TestClient(target).ask("x").data, "X");
    EXPECT_EQ(daemon.stop(), 0);
  }
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(TestClient("unix:" + path).connected());
}

TEST(SocketActivation, PassedSocketsReplaceListen) {
  const SocketUnit unit("127.0.0.1:0");
  const SocketUnit taken("127.0.0.1:0");
  auto options = activated({unit.fd()});
  options.listen = {taken.target()};  // it would be refused
  DaemonUnderTest daemon(options);
  EXPECT_EQ(daemon.targets(), std::vector<std::string>{unit.target()});
  EXPECT_EQ(TestClient(unit.target()).ask("x").data, "X");
}

TEST(SocketActivation, WhatIsNoListeningSocketIsAConfigurationError) {
  const auto pair = unix_pair();
  const TempDir directory;
  const Outcome outcome = run_program(forkechod, {"run", "--control", directory.path("d.sock")},
                                      passing({pair.client.get()}));
  EXPECT_EQ(outcome.exitcode, 78);
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("'echo'"));
}

}  // namespace
}  // namespace forkecho::tests
