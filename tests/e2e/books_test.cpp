// Where nothing was killed, the daemon's books say what its clients counted.
#include <gtest/gtest.h>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

class Books : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(Books, EqualANeutralClientsCount) {
  DaemonUnderTest daemon(GetParam());
  const unsigned holding = GetParam().holds_others_up() ? 0 : 3;
  ClientSwarm swarm({.target = daemon.target(), .holding = holding, .fresh = 3});
  ASSERT_TRUE(swarm.wait_for_replies(100));
  ASSERT_TRUE(swarm.stop());
  const ClientCounts clients = swarm.totals();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  SCOPED_TRACE(testing::PrintToString(*books) + "\n" + testing::PrintToString(clients));
  EXPECT_EQ(clients.never_answered + clients.not_connected + clients.resets + clients.wrong, 0U);
  EXPECT_EQ(books->accepted, clients.connected);
  EXPECT_EQ(books->served, clients.connected);
  EXPECT_EQ(books->crashed, 0U);
  EXPECT_EQ(books->bytes_in, clients.bytes_received);
  EXPECT_EQ(books->bytes_out, clients.bytes_received);
  EXPECT_TRUE(books->balance());
  EXPECT_EQ(daemon.stop(), 0);
  const auto last = books_in_log(daemon.log());
  ASSERT_TRUE(last);
  EXPECT_EQ(last->accepted, books->accepted);
  EXPECT_EQ(last->bytes_out, books->bytes_out);
}

/// A peer's reset, and one that comes and goes without a word, are served connections like others.
TEST_P(Books, CountResetAndSilentClientsAsServed) {
  DaemonUnderTest daemon(GetParam());
  TestClient(daemon.target()).close();
  TestClient resetting(daemon.target());
  ASSERT_EQ(resetting.ask("abc").data, "ABC");
  resetting.reset();
  ASSERT_EQ(TestClient(daemon.target()).ask("de").data, "DE");
  const bool all_came = eventually(patience(), [&] {
    const BooksSeen now = daemon.books();
    return now.accepted == 3 && now.active == 0;
  });
  EXPECT_TRUE(all_came);
  const BooksSeen books = daemon.books();
  EXPECT_EQ(books.served, 3U);
  EXPECT_EQ(books.bytes_in, 5U);
  EXPECT_EQ(books.bytes_out, 5U);
  EXPECT_TRUE(books.balance()) << testing::PrintToString(books);
}

TEST_P(Books, AgreeWithTheLoadGenerators) {
  DaemonUnderTest daemon(GetParam());
  const Outcome load = run_program(
      forkecho, {"load", daemon.target(), "--workload", "crr", "-c", "4", "-w", "2", "-n", "200",
                 "--warmup", "100ms", "--payload", "unicode", "--json", "-"});
  // 2: on a machine with much else to do, the generator may rightly call its own run invalid.
  EXPECT_TRUE(load.exitcode == 0 || load.exitcode == 2) << load.err;
  const auto run = nlohmann::json::parse(load.out);
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(run["requests"]["completed"], 200);
  EXPECT_EQ(run["totals"]["connections"], books->accepted);
  EXPECT_EQ(run["totals"]["bytes_out"], books->bytes_in);
  EXPECT_EQ(run["totals"]["bytes_in"], books->bytes_out);
  EXPECT_EQ(run["verification"]["mismatched"], 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, Books, testing::ValuesIn(all_modes), name_of_mode);

}  // namespace
}  // namespace forkecho::tests
