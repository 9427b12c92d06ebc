// The books balance after anything below the supervisor was killed, at random and under load.
#include <gtest/gtest.h>

#include <csignal>
#include <random>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/soak.h"

namespace forkecho::tests {
namespace {

class BooksAfterKills : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(BooksAfterKills, BalanceExactly) {
  const unsigned one_at_a_time = GetParam().holds_others_up() ? 0 : 1;
  std::mt19937 random(static_cast<unsigned>(getpid()));
  SCOPED_TRACE("seed " + std::to_string(getpid()));
  DaemonUnderTest daemon(GetParam());
  ClientSwarm swarm({.target = daemon.target(),
                     .holding = 3 * one_at_a_time,
                     .fresh = 2,
                     .half_closing = 1,
                     .resetting = 1,
                     .silent = 1});
  int killed = 0;
  const auto end = sys::Deadline::after(std::chrono::seconds(soak(2, 60)));
  while (killed < 15 || !end.passed()) {
    const std::uint64_t before = swarm.totals().replies;
    ASSERT_TRUE(eventually(patience(), [&] { return swarm.totals().replies > before + 20; }))
        << daemon.log();
    const auto living = living_below(daemon.pid());
    if (living.empty()) continue;
    killed += kill(living[random() % living.size()].pid, SIGKILL) == 0;
    const BooksSeen now = daemon.books();
    ASSERT_GE(now.accepted, now.ended()) << testing::PrintToString(now);
  }
  ASSERT_TRUE(swarm.stop()) << testing::PrintToString(swarm.totals());
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books) << testing::PrintToString(daemon.books());
  const ClientCounts clients = swarm.totals();
  SCOPED_TRACE(testing::PrintToString(*books) + "\n" + testing::PrintToString(clients));
  EXPECT_EQ(books->accepted, books->ended());
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().balance(); }))
      << testing::PrintToString(daemon.books());
  // A process killed between its accept and its record leaves the connection on neither side.
  EXPECT_LE(books->accepted, clients.connected);
  EXPECT_GE(books->accepted + static_cast<std::uint64_t>(killed), clients.connected);
  EXPECT_EQ(books->refused + books->timed_out + books->fork_failed, 0U);
  EXPECT_EQ(clients.wrong, 0U);
  EXPECT_EQ(clients.silent, 0U);
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(books_in_log(daemon.log())->accepted, books->accepted);
}

INSTANTIATE_TEST_SUITE_P(Modes, BooksAfterKills, testing::ValuesIn(all_modes), name_of_mode);

}  // namespace
}  // namespace forkecho::tests
