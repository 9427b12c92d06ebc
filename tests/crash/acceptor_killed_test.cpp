// kill -9 of a process that accepts: it is replaced, nobody in the queue is lost, and what others
// serve goes on.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

bool is_stopped(const DaemonUnderTest& daemon, pid_t pid) {
  for (const ProcessView& view : living_below(daemon.pid())) {
    if (view.pid == pid) return view.state == 'T';
  }
  return false;
}

class AcceptorKilled : public testing::TestWithParam<ModeUnderTest> {};

/// The processes are stopped first, so that the clients are certainly in the queue, and not taken.
TEST_P(AcceptorKilled, ClientsInTheQueueAreServedByTheNext) {
  DaemonUnderTest daemon(GetParam());
  // A first connection: an acceptor that ends before it may be replaced after a pause only.
  ASSERT_EQ(TestClient(daemon.target()).ask("first").data, "FIRST");
  ASSERT_TRUE(daemon.books_at_rest());
  const std::vector<pid_t> acceptors = daemon.accepting_processes();
  ASSERT_FALSE(acceptors.empty());
  for (const pid_t pid : acceptors) kill(pid, SIGSTOP);
  for (const pid_t pid : acceptors)
    ASSERT_TRUE(eventually(patience(), [&] { return is_stopped(daemon, pid); }));
  const std::uint64_t accepted = daemon.books().accepted;
  std::vector<TestClient> clients;
  for (int i = 0; i < 10; ++i) {
    clients.emplace_back(daemon.target());
    ASSERT_TRUE(clients.back().connected());
    ASSERT_TRUE(clients.back().send("queued"));
    clients.back().half_close();
  }
  ASSERT_EQ(daemon.books().accepted, accepted);
  for (const pid_t pid : acceptors) kill(pid, SIGKILL);
  for (TestClient& client : clients) {
    const Reply reply = client.receive_to_end();
    EXPECT_EQ(reply.heard, Heard::end);
    EXPECT_EQ(reply.data, "QUEUED");
  }
  const auto is_a_victim = [&](pid_t pid) {
    return std::count(acceptors.begin(), acceptors.end(), pid) != 0;
  };
  EXPECT_TRUE(eventually(patience(), [&] {
    const auto now = daemon.accepting_processes();
    return !now.empty() && std::none_of(now.begin(), now.end(), is_a_victim);
  }));
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->accepted, accepted + 10);
  EXPECT_EQ(books->served, accepted + 10);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
}

/// What one kill may cost: a connection that was accepted and had no process of its own yet, or all
/// that the killed process served.
TEST_P(AcceptorKilled, UnderLoadItIsReplacedEachTime) {
  if (GetParam().is_iterative()) GTEST_SKIP() << "one connection at a time: nothing to lose but it";
  DaemonUnderTest daemon(GetParam());
  const unsigned clients_of_each = 3;
  const unsigned holding = GetParam().holds_others_up() ? 0 : clients_of_each;
  ClientSwarm swarm({.target = daemon.target(), .holding = holding, .fresh = clients_of_each});
  const auto kills = static_cast<std::uint64_t>(soak(10, 100));
  for (std::uint64_t i = 0; i < kills; ++i) {
    ASSERT_TRUE(swarm.wait_for_replies(2)) << daemon.log();
    const std::vector<pid_t> acceptors = daemon.accepting_processes();
    ASSERT_FALSE(acceptors.empty()) << daemon.log();
    const pid_t victim = acceptors[i % acceptors.size()];
    kill(victim, SIGKILL);
    ASSERT_TRUE(eventually(patience(), [&] {
      const auto now = daemon.accepting_processes();
      return !now.empty() && std::count(now.begin(), now.end(), victim) == 0;
    }));
  }
  ASSERT_TRUE(swarm.wait_for_replies(2)) << daemon.log();
  ASSERT_TRUE(swarm.stop());
  const ClientCounts clients = swarm.totals();
  SCOPED_TRACE(testing::PrintToString(clients));
  EXPECT_EQ(clients.wrong, 0U);
  EXPECT_EQ(clients.silent, 0U);
  EXPECT_EQ(clients.not_connected, 0U);
  const std::uint64_t most_lost = GetParam().is_event() ? kills * 2 * clients_of_each : kills;
  EXPECT_LE(clients.resets + clients.unanswered + clients.cut_short, most_lost);
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
  EXPECT_LE(books->crashed, most_lost);
}

INSTANTIATE_TEST_SUITE_P(Modes, AcceptorKilled, testing::ValuesIn(all_modes), name_of_mode);

TEST(ForkAcceptorKilled, ConnectionsServedByItsChildrenGoOn) {
  DaemonUnderTest daemon(mode_named("fork"));
  std::vector<TestClient> clients;
  for (int i = 0; i < 5; ++i) clients.emplace_back(daemon.target());
  for (TestClient& client : clients) ASSERT_EQ(client.ask("before").data, "BEFORE");
  for (int round = 0; round < 3; ++round) {
    const auto acceptors = daemon.accepting_processes();
    ASSERT_EQ(acceptors.size(), 1U);
    kill(acceptors.front(), SIGKILL);
    ASSERT_TRUE(eventually(patience(), [&] {
      const auto now = daemon.accepting_processes();
      return now.size() == 1 && now != acceptors;
    }));
    for (TestClient& client : clients) ASSERT_EQ(client.ask("after").data, "AFTER");
    ASSERT_EQ(TestClient(daemon.target()).ask("new").data, "NEW");
  }
  // The three new clients have closed; their children are on their way out.
  EXPECT_TRUE(eventually(patience(), [&] {
    const BooksSeen books = daemon.books();
    return books.active == 5 && books.busy == 5;
  })) << testing::PrintToString(daemon.books());
  clients.clear();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->served, 8U);
  EXPECT_EQ(books->crashed, 0U);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
}

/// Each in its turn, and then all at once: the others go on, and so does whom it served.
TEST(ForkAcceptorKilled, OneOfSeveralLeavesTheOthersAndItsChildrenServing) {
  DaemonUnderTest daemon(mode_named("fork_acceptors"));
  std::vector<TestClient> clients;
  const auto all_go_on = [&] {
    for (TestClient& client : clients) ASSERT_EQ(client.ask("after").data, "AFTER");
    clients.emplace_back(daemon.target());
    ASSERT_EQ(clients.back().ask("new").data, "NEW");
  };
  for (int i = 0; i < 9; ++i) all_go_on();
  for (std::size_t i = 0; i < 4; ++i) {
    const auto acceptors = daemon.accepting_processes();
    ASSERT_EQ(acceptors.size(), 3U);
    const std::size_t first = i % 3;
    const std::size_t last = i < 3 ? first : 2;
    for (std::size_t j = first; j <= last; ++j) kill(acceptors[j], SIGKILL);
    all_go_on();
    ASSERT_TRUE(eventually(patience(), [&] {
      const auto now = daemon.accepting_processes();
      const auto is_dead = [&](std::size_t j) {
        return std::count(now.begin(), now.end(), acceptors[j]) == 0;
      };
      return now.size() == 3 && is_dead(first) && is_dead(last);
    })) << daemon.log();
    all_go_on();
  }
  EXPECT_TRUE(daemon.wait_for_active(clients.size()));
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().busy == clients.size(); }));
  EXPECT_EQ(daemon.status()["slots"].size(), clients.size());
  const std::size_t served = clients.size();
  clients.clear();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->served, served);
  EXPECT_EQ(books->crashed, 0U);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
}

/// The supervisor's death must reach also those whose acceptor died before it.
TEST(ForkAcceptorKilled, ChildrenThatItLeftDieWithTheSupervisor) {
  DaemonUnderTest daemon(mode_named("fork"));
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("a").data, "A");
  kill(daemon.accepting_processes().at(0), SIGKILL);
  ASSERT_EQ(client.ask("b").data, "B");
  daemon.signal(SIGKILL);
  ASSERT_EQ(daemon.wait(), -SIGKILL);
  EXPECT_TRUE(eventually(patience(), [&] { return living_below(daemon.pid()).empty(); }));
}

/// And the drain those, too.
TEST(ForkAcceptorKilled, ChildrenThatItLeftAreDrained) {
  DaemonUnderTest daemon(mode_named("fork"), {"--drain-timeout", "300ms"});
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("a").data, "A");
  kill(daemon.accepting_processes().at(0), SIGKILL);
  ASSERT_EQ(client.ask("b").data, "B");
  daemon.signal(SIGTERM);
  EXPECT_EQ(client.receive_to_end().heard, Heard::end);
  client.close();
  EXPECT_EQ(daemon.wait(), 0);
  const auto books = books_in_log(daemon.log());
  ASSERT_TRUE(books);
  EXPECT_EQ(books->timed_out, 1U);
}

TEST(PoolWorkerKilled, OnlyItsOwnConnectionIsLost) {
  DaemonUnderTest daemon(mode_named("pool"));
  std::vector<TestClient> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back(daemon.target());
  for (TestClient& client : clients) ASSERT_EQ(client.ask("before").data, "BEFORE");
  const std::string first = sys::SocketAddress::local(clients[0].get()).to_string();
  pid_t victim = 0;
  const auto status = daemon.status();
  for (const auto& slot : status["slots"]) {
    if (slot["peer"] == first) victim = slot["pid"];
  }
  ASSERT_NE(victim, 0);
  kill(victim, SIGKILL);
  EXPECT_NE(clients[0].receive_to_end().heard, Heard::timed_out);
  for (std::size_t i = 1; i < clients.size(); ++i) EXPECT_EQ(clients[i].ask("after").data, "AFTER");
  clients.clear();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->crashed, 1U);
  EXPECT_EQ(books->served, 3U);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
}

}  // namespace
}  // namespace forkecho::tests
