// Clients that hold on to their connections without using them: each is ended within its timeout,
// in every mode, counted by its name, and its place is another's.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

constexpr int places = 6;

/// Sends until no more finds room, and reads nothing.
void stuff(TestClient& client) {
  const std::string block(64 * 1024, 'x');
  while (client.send(block, sys::Deadline::after(100ms))) {
  }
}

/// Goes away without a word: the other side is left with half a connection.
void vanish(TestClient& client) {
  const int on = 1;
  if (setsockopt(client.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) == 0) client.close();
}

class Timeouts : public testing::TestWithParam<ModeUnderTest> {
 protected:
  static std::vector<std::string> with_limits(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--max-connections", std::to_string(places)});
    return arguments;
  }
  /// As many new clients as there are places, all at once, are served.
  static void expect_all_places_free(DaemonUnderTest& daemon) {
    std::vector<TestClient> clients;
    for (int i = 0; i < (GetParam().is_iterative() ? 1 : places); ++i) {
      clients.emplace_back(daemon.target());
      ASSERT_EQ(clients.back().ask("free").data, "FREE") << i;
    }
  }
  static void expect_timed_out(DaemonUnderTest& daemon, const nlohmann::json& expected) {
    EXPECT_TRUE(eventually(patience(),
                           [&] { return daemon.status()["connections"]["timed_out"] == expected; }))
        << daemon.status()["connections"].dump() << "\n"
        << daemon.log();
    const auto books = daemon.books_at_rest();
    ASSERT_TRUE(books);
    EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
  }
};

TEST_P(Timeouts, EachAbuserIsEndedByItsOwnAndItsPlaceIsReused) {
  DaemonUnderTest daemon(GetParam(),
                         with_limits({"--first-byte-timeout", "400ms", "--idle-timeout", "300ms",
                                      "--write-timeout", "300ms", "--max-lifetime", "1500ms"}));
  TestClient vanishes(daemon.target());
  ASSERT_EQ(vanishes.ask("once").data, "ONCE");
  vanish(vanishes);
  TestClient falls_silent(daemon.target());
  ASSERT_TRUE(falls_silent.send("once"));
  TestClient never_speaks(daemon.target());
  std::vector<TestClient> stuffed;
  // Behind another in an iterative server's queue one cannot send more than is answered at once.
  for (int i = 0; i < (GetParam().is_iterative() ? 0 : 2); ++i) {
    stuffed.emplace_back(daemon.target());
    stuff(stuffed.back());
  }
  if (!stuffed.empty()) stuffed.back().half_close();
  TestClient byte_by_byte(daemon.target());
  // Each byte comes in time for the idle timeout; the lifetime bounds it.
  bool over = false;
  EXPECT_TRUE(eventually(patience(), [&] {
    over = over || !byte_by_byte.send("b", sys::Deadline::immediately()) ||
           byte_by_byte.receive(1, sys::Deadline::after(10ms)).heard == Heard::end;
    if (over) byte_by_byte.close();
    return over;
  }));
  EXPECT_EQ(never_speaks.receive_to_end().heard, Heard::end);
  const Reply silent = falls_silent.receive_to_end();
  EXPECT_EQ(silent.heard, Heard::end);
  EXPECT_EQ(silent.data, "ONCE");
  expect_timed_out(
      daemon,
      {{"first_byte", 1}, {"idle", 2}, {"write", stuffed.size()}, {"lifetime", 1}, {"drain", 0}});
  stuffed.clear();
  expect_all_places_free(daemon);
}

TEST_P(Timeouts, AClientThatNeverReadsIsEndedByTheWriteTimeout) {
  DaemonUnderTest daemon(GetParam(), with_limits({"--write-timeout", "200ms"}));
  TestClient never_reads(daemon.target());
  stuff(never_reads);
  expect_timed_out(daemon,
                   {{"first_byte", 0}, {"idle", 0}, {"write", 1}, {"lifetime", 0}, {"drain", 0}});
  expect_all_places_free(daemon);
}

/// With the lifetime alone: it ends every kind, whatever the client does.
TEST_P(Timeouts, TheLifetimeBoundsThemAll) {
  DaemonUnderTest daemon(GetParam(),
                         with_limits({"--write-timeout", "0", "--max-lifetime", "300ms"}));
  TestClient never_speaks(daemon.target());
  TestClient never_reads(daemon.target());
  stuff(never_reads);
  TestClient falls_silent(daemon.target());
  ASSERT_TRUE(falls_silent.send("once"));
  expect_timed_out(daemon,
                   {{"first_byte", 0}, {"idle", 0}, {"write", 0}, {"lifetime", 3}, {"drain", 0}});
  expect_all_places_free(daemon);
}

TEST_P(Timeouts, TheDrainTimeoutEndsThoseThatNeverRead) {
  DaemonUnderTest daemon(GetParam(),
                         with_limits({"--write-timeout", "0", "--drain-timeout", "100ms"}));
  TestClient never_reads(daemon.target());
  stuff(never_reads);
  ASSERT_TRUE(daemon.wait_for_active(1));
  EXPECT_EQ(daemon.stop(), 0);
  const auto books = books_in_log(daemon.log());
  ASSERT_TRUE(books) << daemon.log();
  EXPECT_EQ(books->accepted, 1U);
  EXPECT_EQ(books->timed_out, 1U);
  EXPECT_NE(daemon.log().find("drain 1)"), std::string::npos) << daemon.log();
}

/// Where each client waits for its own worker, there are no places that anybody could reuse.
auto modes_with_common_places() {
  std::vector<ModeUnderTest> modes = all_modes;
  std::erase_if(modes, [](const ModeUnderTest& mode) { return mode.has_own_queues(); });
  return testing::ValuesIn(modes);
}
INSTANTIATE_TEST_SUITE_P(Modes, Timeouts, modes_with_common_places(), name_of_mode);

}  // namespace
}  // namespace forkecho::tests
