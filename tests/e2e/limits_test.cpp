// --max-connections, --when-full and --idle-timeout, and what the books say of them.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t limit = 4;
/// For what must not happen: that nothing came in this time.
constexpr auto a_while = 150ms;

class Full : public testing::TestWithParam<ModeUnderTest> {
 protected:
  static std::vector<TestClient> fill(const DaemonUnderTest& daemon) {
    std::vector<TestClient> clients;
    for (std::size_t i = 0; i < limit; ++i) {
      clients.emplace_back(daemon.target());
      EXPECT_EQ(clients.back().ask("in").data, "IN");
    }
    return clients;
  }
};

TEST_P(Full, WaitLeavesTheNextClientInTheQueueUntilThereIsRoom) {
  DaemonUnderTest daemon(GetParam(), {"--max-connections", "4", "--when-full", "wait"});
  std::vector<TestClient> clients = fill(daemon);
  TestClient waiting(daemon.target());
  ASSERT_TRUE(waiting.connected());
  EXPECT_EQ(waiting.ask("wait", sys::Deadline::after(a_while)).heard, Heard::timed_out);
  EXPECT_EQ(daemon.books().active, limit);
  clients.pop_back();
  EXPECT_EQ(waiting.receive(4).data, "WAIT");
  clients.clear();
  waiting.close();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->served, limit + 1);
  EXPECT_EQ(books->refused, 0U);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
}

TEST_P(Full, RefuseEndsTheNextConnectionAndCountsIt) {
  DaemonUnderTest daemon(GetParam(), {"--max-connections", "4", "--when-full", "refuse"});
  std::vector<TestClient> clients = fill(daemon);
  for (int i = 0; i < 3; ++i) {
    TestClient refused(daemon.target());
    ASSERT_TRUE(refused.connected());
    const Reply reply = refused.receive_to_end();
    EXPECT_EQ(reply.heard, Heard::end);
    EXPECT_EQ(reply.data, "");
  }
  for (TestClient& client : clients) EXPECT_EQ(client.ask("still").data, "STILL");
  ASSERT_TRUE(daemon.wait_for_active(limit));
  EXPECT_EQ(daemon.status()["connections"]["refused"]["full"], 3);
  clients.pop_back();
  ASSERT_TRUE(daemon.wait_for_active(limit - 1));
  EXPECT_EQ(TestClient(daemon.target()).ask("room").data, "ROOM");
  clients.clear();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->accepted, limit + 4);
  EXPECT_EQ(books->served, limit + 1);
  EXPECT_EQ(books->refused, 3U);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
}

INSTANTIATE_TEST_SUITE_P(Modes, Full,
                         testing::Values(mode_named("fork"), mode_named("fork_acceptors"),
                                         mode_named("pool"), mode_named("pool_single_use"),
                                         mode_named("event")),
                         name_of_mode);

class IdleTimeout : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(IdleTimeout, EndsTheSilentInOrderAndCountsThem) {
  DaemonUnderTest daemon(GetParam(), {"--idle-timeout", "200ms"});
  const auto start = sys::Clock::now();
  TestClient silent(daemon.target());
  EXPECT_EQ(silent.receive_to_end().heard, Heard::end);
  EXPECT_GE(sys::Clock::now() - start, 200ms);
  silent.close();
  TestClient said_something(daemon.target());
  EXPECT_EQ(said_something.ask("x").data, "X");
  // The rest of a cut character comes back before the end.
  ASSERT_TRUE(said_something.send("\xc3"));
  const Reply rest = said_something.receive_to_end();
  EXPECT_EQ(rest.heard, Heard::end);
  EXPECT_EQ(rest.data, "\xc3");
  said_something.close();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(daemon.status()["connections"]["timed_out"]["idle"], 2);
  EXPECT_EQ(books->accepted, 2U);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
}

TEST_P(IdleTimeout, LeavesAloneWhoeverSpeaks) {
  DaemonUnderTest daemon(GetParam(), {"--idle-timeout", "1s"});
  TestClient client(daemon.target());
  for (int i = 0; i < 15; ++i) {
    ASSERT_EQ(client.ask("tick").data, "TICK") << i;
    poll(nullptr, 0, 100);
  }
  client.half_close();
  EXPECT_EQ(client.receive_to_end().heard, Heard::end);
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->timed_out, 0U);
  EXPECT_EQ(books->served, 1U);
}

INSTANTIATE_TEST_SUITE_P(Modes, IdleTimeout,
                         testing::Values(mode_named("iterative"), mode_named("fork"),
                                         mode_named("fork_acceptors"), mode_named("pool"),
                                         mode_named("event")),
                         name_of_mode);

}  // namespace
}  // namespace forkecho::tests
