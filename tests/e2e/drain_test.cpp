// TERM and what comes after it: nothing received stays unanswered, nobody is reset, exit code 0.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/ordinary_user.h"
#include "tests/support/proc_view.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

class Drain : public testing::TestWithParam<ModeUnderTest> {};

void expect_that_nothing_was_lost(const ClientCounts& clients, unsigned holding) {
  EXPECT_EQ(clients.resets, 0U);
  EXPECT_EQ(clients.wrong, 0U);
  EXPECT_EQ(clients.cut_short, 0U);
  EXPECT_EQ(clients.silent, 0U);
  // Whoever got in was served at least once,
  EXPECT_EQ(clients.never_answered, 0U);
  // and a held connection can have sent one request that came too late.
  EXPECT_LE(clients.unanswered, holding);
}

TEST_P(Drain, UnderFullLoadNothingReceivedStaysUnanswered) {
  // One held connection is all that an iterative server ever serves; the others queue behind it.
  const unsigned holding = GetParam().holds_others_up() ? 1 : 4;
  for (int round = 0; round < soak(1, 20); ++round) {
    DaemonUnderTest daemon(GetParam(), {"--drain-timeout", "400ms"});
    ClientSwarm swarm(
        {.target = daemon.target(), .holding = holding, .fresh = 4, .persists = false});
    ASSERT_TRUE(eventually(patience(), [&] { return swarm.totals().replies > 200 * holding; }));
    EXPECT_EQ(daemon.stop(), 0) << daemon.log();
    ASSERT_TRUE(swarm.wait());
    const ClientCounts clients = swarm.totals();
    SCOPED_TRACE(testing::PrintToString(clients) + "\n" + daemon.log());
    expect_that_nothing_was_lost(clients, holding);
    const auto books = books_in_log(daemon.log());
    ASSERT_TRUE(books);
    EXPECT_EQ(books->active, 0U);
    EXPECT_EQ(books->accepted, clients.connected);
    EXPECT_EQ(books->accepted, books->served + books->timed_out);
    EXPECT_EQ(books->bytes_in, books->bytes_out);
    EXPECT_EQ(books->bytes_out, clients.bytes_received);
  }
}

/// Only fresh connections: when the last of them is served, the daemon has no reason to stay.
TEST_P(Drain, EndsWithoutWaitingForItsTimeoutWhenAllHaveLeft) {
  DaemonUnderTest daemon(GetParam(), {"--drain-timeout", "1m"});
  ClientSwarm swarm({.target = daemon.target(), .holding = 0, .fresh = 6, .persists = false});
  ASSERT_TRUE(swarm.wait_for_replies(10));
  const auto start = sys::Clock::now();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_LT(sys::Clock::now() - start, 15s);
  ASSERT_TRUE(swarm.wait());
  const ClientCounts clients = swarm.totals();
  SCOPED_TRACE(testing::PrintToString(clients) + "\n" + daemon.log());
  expect_that_nothing_was_lost(clients, 0);
  const auto books = books_in_log(daemon.log());
  ASSERT_TRUE(books);
  EXPECT_EQ(books->accepted, clients.connected);
  EXPECT_EQ(books->served, clients.connected);
}

TEST_P(Drain, HeldConnectionsAreServedUntilTheTimeoutAndThenEndInOrder) {
  DaemonUnderTest daemon(GetParam(), {"--drain-timeout", "600ms"});
  const std::size_t count = GetParam().holds_others_up() ? 1 : 3;
  std::vector<TestClient> clients;
  for (std::size_t i = 0; i < count; ++i) clients.emplace_back(daemon.target());
  for (TestClient& client : clients) ASSERT_EQ(client.ask("before").data, "BEFORE");
  const auto start = sys::Clock::now();
  daemon.signal(SIGTERM);
  ASSERT_TRUE(eventually(patience(), [&] { return daemon.status()["state"] == "draining"; }));
  for (TestClient& client : clients) EXPECT_EQ(client.ask("during").data, "DURING");
  for (TestClient& client : clients) {
    const Reply rest = client.receive_to_end();
    EXPECT_EQ(rest.heard, Heard::end);
    EXPECT_EQ(rest.data, "");
  }
  EXPECT_GE(sys::Clock::now() - start, 600ms);
  clients.clear();
  EXPECT_EQ(daemon.wait(), 0);
  const auto books = books_in_log(daemon.log());
  ASSERT_TRUE(books);
  EXPECT_EQ(books->timed_out, count);
  EXPECT_EQ(books->accepted, count);
}

TEST_P(Drain, AClientThatComesDuringItIsNeverAcceptedAndLost) {
  const TempDir directory;
  DaemonUnderTest daemon({.arguments = GetParam().arguments,
                          .listen = addresses_for(GetParam(), directory),
                          .control = {},
                          .program = {}});
  TestClient holder(daemon.target());
  ASSERT_EQ(holder.ask("a").data, "A");
  daemon.signal(SIGTERM);
  ASSERT_TRUE(eventually(patience(), [&] { return daemon.status()["state"] == "draining"; }));
  for (int i = 0; i < 6; ++i) {
    for (const std::string& target : daemon.targets()) {
      TestClient late(target, sys::Deadline::after(20ms));
      EXPECT_FALSE(late.connected()) << target;
    }
  }
  EXPECT_EQ(holder.ask("b").data, "B");
  holder.close();
  EXPECT_EQ(daemon.wait(), 0);
}

class DrainAsAnOrdinaryUser : public testing::TestWithParam<ModeUnderTest> {};

/// The door is shut in another way where a user may attach no filter to a socket.
TEST_P(DrainAsAnOrdinaryUser, NothingReceivedStaysUnanswered) {
  if (geteuid() != 0)
    GTEST_SKIP() << "needs root, to become another user; the others show the same";
  const TempDir directory;
  const uid_t user = user_of_its_own();
  sys::check_syscall(chown(directory.path("").c_str(), user, user), "chown");
  Arguments arguments = GetParam().arguments;
  arguments.insert(arguments.end(), {"--drain-timeout", "700ms"});
  DaemonUnderTest daemon(
      {.arguments = arguments,
       .listen = {"127.0.0.1:0"},
       .control = directory.path("d.sock"),
       .program = {.input = {}, .before_exec = [=] { become(user); }, .own_session = true}});
  ClientSwarm swarm({.target = daemon.target(), .holding = 3, .fresh = 4, .persists = false});
  ASSERT_TRUE(swarm.wait_for_replies(30));
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
  ASSERT_TRUE(swarm.wait());
  const ClientCounts clients = swarm.totals();
  SCOPED_TRACE(testing::PrintToString(clients) + "\n" + daemon.log());
  expect_that_nothing_was_lost(clients, 3);
  const auto books = books_in_log(daemon.log());
  ASSERT_TRUE(books);
  EXPECT_EQ(books->accepted, clients.connected);
  EXPECT_EQ(books->bytes_in, books->bytes_out);
  EXPECT_EQ(books->bytes_out, clients.bytes_received);
}

struct TwoSignals {
  int first;  // 0: none
  int second;
};
class Impatience : public testing::TestWithParam<std::tuple<ModeUnderTest, TwoSignals>> {};

TEST_P(Impatience, EndsAtOnceWithZero) {
  const auto& [mode, signals] = GetParam();
  DaemonUnderTest daemon(mode, {"--drain-timeout", "10m"});
  TestClient holder(daemon.target());
  ASSERT_EQ(holder.ask("a").data, "A");
  if (signals.first != 0) {
    daemon.signal(signals.first);
    ASSERT_TRUE(eventually(patience(), [&] { return daemon.status()["state"] == "draining"; }));
    EXPECT_EQ(holder.ask("b").data, "B");
  }
  daemon.signal(signals.second);
  EXPECT_EQ(daemon.wait(sys::Deadline::after(5s)), 0) << daemon.log();
  EXPECT_TRUE(living_below(daemon.pid()).empty());
}

std::string name_of_signals(const testing::TestParamInfo<Impatience::ParamType>& info) {
  const auto& [mode, signals] = info.param;
  const char* what = signals.first == SIGTERM  ? "SecondTerm"
                     : signals.first == SIGINT ? "SecondInt"
                                               : "Quit";
  return std::string(what) + "_" + mode.name;
}

INSTANTIATE_TEST_SUITE_P(Modes, Drain, testing::ValuesIn(all_modes), name_of_mode);
INSTANTIATE_TEST_SUITE_P(Modes, DrainAsAnOrdinaryUser,
                         testing::Values(mode_named("fork"), mode_named("fork_acceptors"),
                                         mode_named("pool"), mode_named("event")),
                         name_of_mode);
INSTANTIATE_TEST_SUITE_P(
    Signals, Impatience,
    testing::Combine(testing::Values(mode_named("iterative"), mode_named("fork"),
                                     mode_named("fork_acceptors"), mode_named("pool"),
                                     mode_named("event")),
                     testing::Values(TwoSignals{SIGTERM, SIGTERM}, TwoSignals{SIGINT, SIGINT},
                                     TwoSignals{0, SIGQUIT})),
    name_of_signals);

}  // namespace
}  // namespace forkecho::tests
