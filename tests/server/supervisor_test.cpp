#include "server/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/exit_code.h"
#include "tests/server/running_daemon.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using sys::Deadline;
using testing::HasSubstr;

class SupervisorInEveryMode : public testing::TestWithParam<Mode> {
 protected:
  tests::TempDir directory;
  Options options = daemon_options(directory, GetParam());
};
INSTANTIATE_TEST_SUITE_P(Modes, SupervisorInEveryMode,
                         testing::Values(Mode::iterative, Mode::fork, Mode::pool, Mode::event),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST_P(SupervisorInEveryMode, ServesFromTheMomentThatItIsReady) {
  RunningDaemon daemon(options);
  sys::Descriptor client = daemon.connect();
  EXPECT_EQ(tests::echo(client.get(), "hello"), "HELLO");
  const auto status = daemon.status();
  EXPECT_EQ(status["pid"], daemon.pid());
  EXPECT_EQ(status["mode"], to_string(GetParam()));
  EXPECT_EQ(status["state"], "running");
  EXPECT_EQ(status["connections"]["accepted"], 1);
  EXPECT_EQ(status["connections"]["active"], 1);
  // A child can answer before its acceptor has booked it.
  EXPECT_TRUE(daemon.until_status([](const auto& s) { return s["children"]["busy"] == 1; }));
  client.reset();
  EXPECT_TRUE(daemon.until_status(
      [](const auto& s) { return s["connections"]["served"] == 1 && balances(s); }));
  EXPECT_EQ(daemon.status()["bytes"]["in"], 5);
  EXPECT_THAT(tests::title_of(daemon.pid()), testing::StartsWith("forkechod: supervisor, mode "));
}

TEST_P(SupervisorInEveryMode, StopDrainsAndLeavesNothingBehind) {
  RunningDaemon daemon(options);
  sys::Descriptor client = daemon.connect();
  EXPECT_EQ(tests::echo(client.get(), "before"), "BEFORE");
  EXPECT_EQ(daemon.ask("stop"), "ok\n");
  EXPECT_TRUE(daemon.until_status([](const auto& s) { return s["state"] == "draining"; }));
  EXPECT_EQ(daemon.ask("stop"), "ok\n");  // asking twice is no impatience
  EXPECT_EQ(tests::echo(client.get(), "served to the end"), "SERVED TO THE END");
  client.reset();
  EXPECT_EQ(daemon.exitcode(), 0);
  EXPECT_NE(access(options.control.c_str(), F_OK), 0);
  EXPECT_NE(access(options.pidfile.c_str(), F_OK), 0);
  EXPECT_FALSE(tests::try_connect(daemon.address()));
  EXPECT_THAT(daemon.log(), HasSubstr("books: accepted 1, active 0, served 1,"));
}

TEST_P(SupervisorInEveryMode, TermDrainsTheQueueOfTheKernelToo) {
  RunningDaemon daemon(options);
  const auto below = tests::children_of(daemon.pid());
  ASSERT_TRUE(tests::stop_all(below));
  std::vector<sys::Descriptor> queued;
  for (int i = 0; i < 5; ++i) {
    queued.push_back(daemon.connect());
    ASSERT_TRUE(tests::send_all(queued.back().get(), "queued"));
    tests::end_sending(queued.back().get());
  }
  daemon.signal(SIGTERM);
  EXPECT_TRUE(daemon.until_status([](const auto& s) { return s["state"] == "draining"; }));
  for (const pid_t pid : below) kill(pid, SIGCONT);
  for (const sys::Descriptor& client : queued)
    EXPECT_EQ(tests::receive_to_end(client.get()), "QUEUED");
  EXPECT_EQ(daemon.exitcode(), 0);
  EXPECT_THAT(daemon.log(), HasSubstr("books: accepted 5, active 0, served 5,"));
}

TEST_P(SupervisorInEveryMode, ASecondTermEndsAtOnce) {
  RunningDaemon daemon(options);
  const sys::Descriptor client = daemon.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  daemon.signal(SIGTERM);
  EXPECT_TRUE(daemon.until_status([](const auto& s) { return s["state"] == "draining"; }));
  EXPECT_EQ(daemon.exitcode(Deadline::after(300ms)), std::nullopt);  // the client is still there
  daemon.signal(SIGTERM);
  EXPECT_EQ(daemon.exitcode(), 0);
  EXPECT_THAT(daemon.log(), HasSubstr("ending at once with 1 connections open"));
  EXPECT_THAT(daemon.log(), HasSubstr("crashed 1"));
}

TEST_P(SupervisorInEveryMode, QuitAndStopNowEndAtOnce) {
  for (const bool by_signal : {true, false}) {
    RunningDaemon daemon(options);
    const sys::Descriptor client = daemon.connect();
    EXPECT_EQ(tests::echo(client.get(), "x"), "X");
    if (by_signal) {
      daemon.signal(SIGQUIT);
    } else {
      EXPECT_EQ(daemon.ask("stop now"), "ok\n");
    }
    EXPECT_EQ(daemon.exitcode(Deadline::after(10s)), 0);
  }
}

TEST_P(SupervisorInEveryMode, TheDrainTimeoutAnswersWhatWasReceivedAndEnds) {
  options.timeouts.drain = 300ms;
  RunningDaemon daemon(options);
  sys::Descriptor client = daemon.connect();
  ASSERT_TRUE(tests::send_all(client.get(), "x\xe2"));
  EXPECT_EQ(tests::receive(client.get(), 1).data, "X");
  daemon.signal(SIGTERM);
  EXPECT_EQ(tests::receive_to_end(client.get()), "\xe2");
  client.reset();
  EXPECT_EQ(daemon.exitcode(), 0);
  EXPECT_THAT(daemon.log(), HasSubstr("drain 1)"));
  EXPECT_THAT(daemon.log(), HasSubstr("crashed 0"));
}

TEST_P(SupervisorInEveryMode, ClientsThatDoNotCooperateCannotHoldUpTheEnd) {
  options.timeouts.drain = 100ms;
  options.timeouts.write = 0s;
  RunningDaemon daemon(options);
  const sys::Descriptor never_reads = daemon.connect();
  const std::string block(65536, 'x');
  while (tests::writable(never_reads.get(), Deadline::after(100ms)))
    tests::send_some(never_reads.get(), block);
  const sys::Descriptor never_closes = daemon.connect();
  if (GetParam() != Mode::iterative) {
    EXPECT_EQ(tests::echo(never_closes.get(), "x"), "X");
  }
  daemon.signal(SIGTERM);
  EXPECT_EQ(daemon.exitcode(), 0);
  EXPECT_THAT(daemon.log(), HasSubstr("drain 2)"));
  EXPECT_THAT(daemon.log(), HasSubstr("crashed 0"));
}

/// Sentinels of all that is below the daemon.
std::vector<sys::Descriptor> sentinels_below(pid_t daemon) {
  std::vector<sys::Descriptor> sentinels;
  for (const pid_t pid : tests::descendants_of(daemon)) sentinels.push_back(mp::open_sentinel(pid));
  return sentinels;
}

TEST_P(SupervisorInEveryMode, NothingBelowOutlivesAKilledSupervisor) {
  RunningDaemon daemon(options);
  const sys::Descriptor client = daemon.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  const auto sentinels = sentinels_below(daemon.pid());
  EXPECT_GE(sentinels.size(), GetParam() == Mode::fork ? 2U : 1U);
  daemon.signal(SIGKILL);
  const Deadline one_second = Deadline::after(1s);
  for (const sys::Descriptor& sentinel : sentinels)
    EXPECT_TRUE(tests::readable(sentinel.get(), one_second));
  EXPECT_EQ(daemon.exitcode(), -SIGKILL);
  EXPECT_NO_THROW(Listener::open(daemon.address(), 1));
  // The files that it left are taken over.
  options.listen = {daemon.address().to_string()};
  RunningDaemon next(options);
  const sys::Descriptor again = next.connect();
  EXPECT_EQ(tests::echo(again.get(), "x"), "X");
}

TEST_P(SupervisorInEveryMode, AKilledWorkerIsReplacedAndQueuedClientsAreServed) {
  RunningDaemon daemon(options);
  { EXPECT_EQ(tests::echo(daemon.connect().get(), "x"), "X"); }
  EXPECT_TRUE(daemon.until_status([](const auto& s) { return s["connections"]["served"] == 1; }));
  const auto below = tests::children_of(daemon.pid());
  ASSERT_TRUE(tests::stop_all(below));
  std::vector<sys::Descriptor> queued;
  for (int i = 0; i < 3; ++i) queued.push_back(daemon.connect());
  for (const pid_t pid : below) kill(pid, SIGKILL);
  for (sys::Descriptor& client : queued) {
    EXPECT_EQ(tests::echo(client.get(), "queued"), "QUEUED");
    client.reset();
  }
  EXPECT_TRUE(daemon.until_status(
      [](const auto& s) { return s["connections"]["served"] == 4 && balances(s); }));
  EXPECT_THAT(daemon.log(), HasSubstr("was ended by signal 9"));
}

TEST(Supervisor, OrphansOfADeadAcceptorEndWithTheSupervisor) {
  const tests::TempDir directory;
  RunningDaemon daemon(daemon_options(directory));
  const sys::Descriptor client = daemon.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  const pid_t acceptor = tests::children_of(daemon.pid()).at(0);
  kill(acceptor, SIGKILL);
  EXPECT_TRUE(
      tests::eventually(tests::patience(), [&] { return tests::state_of(acceptor) == '-'; }));
  EXPECT_EQ(tests::echo(client.get(), "adopted"), "ADOPTED");
  EXPECT_TRUE(tests::eventually(tests::patience(),
                                [&] { return tests::descendants_of(daemon.pid()).size() == 2; }));
  const auto sentinels = sentinels_below(daemon.pid());
  daemon.signal(SIGKILL);
  const Deadline one_second = Deadline::after(1s);
  for (const sys::Descriptor& sentinel : sentinels)
    EXPECT_TRUE(tests::readable(sentinel.get(), one_second));
}

TEST(Supervisor, AnAdoptedClientHasItsIdleTimeoutStill) {
  const tests::TempDir directory;
  Options options = daemon_options(directory);
  options.timeouts.idle = 500ms;
  RunningDaemon daemon(options);
  sys::Descriptor client = daemon.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  kill(tests::children_of(daemon.pid()).at(0), SIGKILL);
  EXPECT_EQ(tests::receive_to_end(client.get(), Deadline::after(5s)), "");
  client.reset();
  EXPECT_TRUE(daemon.until_status(
      [](const auto& s) { return s["connections"]["timed_out"]["idle"] == 1; }));
}

TEST(Supervisor, NoZombieStays) {
  const tests::TempDir directory;
  RunningDaemon daemon(daemon_options(directory));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(tests::echo(daemon.connect().get(), "x"), "X");
  EXPECT_TRUE(tests::eventually(Deadline::after(5s),
                                [&] { return tests::descendants_of(daemon.pid()).size() == 1; }));
}

TEST(Supervisor, ShowsTheLinesOfItsStatusUpToALimit) {
  const tests::TempDir directory;
  Options options = daemon_options(directory);
  options.status_slots = 2;
  RunningDaemon daemon(options);
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(daemon.connect());
    EXPECT_EQ(tests::echo(clients.back().get(), "x"), "X");
  }
  EXPECT_EQ(daemon.status()["slots"].size(), 2U);
  EXPECT_EQ(daemon.status()["slots_omitted"], 3);
}

TEST(Supervisor, AnUnknownRequestIsSaidToBe) {
  const tests::TempDir directory;
  RunningDaemon daemon(daemon_options(directory));
  EXPECT_EQ(daemon.ask("dance"), "error: unknown request\n");
}

TEST(Supervisor, ListensOnSeveralAddressesAndRemovesItsSocketFiles) {
  const tests::TempDir directory;
  Options options = daemon_options(directory);
  options.listen = {"127.0.0.1:0", "[::1]:0", "unix:" + directory.path("s")};
  RunningDaemon daemon(options);
  const auto status = daemon.status();
  for (const auto& address : status["listen"]) {
    const sys::Descriptor client = tests::connect_to(tests::address_of(address.get<std::string>()));
    EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  }
  EXPECT_EQ(daemon.ask("stop"), "ok\n");
  EXPECT_EQ(daemon.exitcode(), 0);
  EXPECT_NE(access(directory.path("s").c_str(), F_OK), 0);
}

/// What run_supervisor refuses to start with.
FatalError error_of(const Options& options) {
  try {
    run_supervisor(options, [] { mp::leave(99); });
  } catch (const FatalError& error) {
    return error;
  }
  return {ExitCode::ok, ""};
}

/// The same in a child, since the log is the process's own: the exit code, when the error names
/// this.
std::optional<int> code_of_start(const Options& options, const std::string& named) {
  return tests::exitcode_in_child([&] {
    const FatalError error = error_of(options);
    return std::string(error.what()).find(named) != std::string::npos
               ? static_cast<int>(error.code())
               : 1;
  });
}

TEST(Supervisor, SaysWhyItDoesNotStart) {
  const tests::TempDir directory;
  const Listener taken = Listener::open(tests::address_of("127.0.0.1:0"), 1);
  Options options = daemon_options(directory);
  options.listen = {taken.address().to_string()};
  EXPECT_EQ(code_of_start(options, taken.address().to_string()),
            static_cast<int>(ExitCode::unavailable));
  options.listen = {"nonsense"};
  EXPECT_EQ(code_of_start(options, "nonsense"), static_cast<int>(ExitCode::usage));
  options = daemon_options(directory);
  options.control = directory.path("a/b/d.sock");
  EXPECT_EQ(code_of_start(options, "a/b"), static_cast<int>(ExitCode::system));
  options = daemon_options(directory);
  const RunningDaemon first(options);
  EXPECT_EQ(code_of_start(options, "a daemon runs already"),
            static_cast<int>(ExitCode::unavailable));
  EXPECT_EQ(first.status()["state"], "running");
}

}  // namespace
}  // namespace forkecho::server
