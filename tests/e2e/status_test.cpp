// `forkechod status` for a person: the table, and --watch at a terminal and elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <sstream>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/terminal.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

const std::string home = "\x1b[H";
const std::string hide_cursor = "\x1b[?25l";
const std::string show_cursor = "\x1b[?25h";

Arguments watch(const DaemonUnderTest& daemon, const Arguments& more = {}) {
  Arguments arguments{"status", "--watch", "--control", daemon.control()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::ptrdiff_t occurrences(const std::string& text, const std::string& part) {
  std::ptrdiff_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

class StatusOfMode : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(StatusOfMode, IsATableOfEightyColumns) {
  DaemonUnderTest daemon(GetParam());
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("x").data, "X");
  const Outcome outcome = run_program(forkechod, {"status", "--control", daemon.control()});
  EXPECT_EQ(outcome.exitcode, 0);
  EXPECT_THAT(outcome.out, HasSubstr(daemon.target()));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("active +1  accepted +1 "));
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

INSTANTIATE_TEST_SUITE_P(Modes, StatusOfMode, testing::ValuesIn(all_modes), name_of_mode);

TEST(WatchAtATerminal, RedrawsInPlaceUntilInterrupted) {
  DaemonUnderTest daemon;
  Terminal terminal;
  terminal.set_size(40, 80);
  Program status(forkechod, watch(daemon, {"--every", "20ms"}), terminal.options());
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("x").data, "X");
  const std::string name = sys::SocketAddress::local(client.get()).to_string();
  EXPECT_THAT(terminal.read_until(name), HasSubstr(name));
  terminal.read_until(home);
  EXPECT_THAT(terminal.read_until(home), HasSubstr("per second"));
  terminal.type("\x03");  // Ctrl-C
  EXPECT_EQ(status.wait(), 0);
  EXPECT_THAT(terminal.read_until(show_cursor), HasSubstr(show_cursor));
  EXPECT_EQ(status.err(), "");
}

/// From one time that the program goes to the first line until the next.
std::string whole_screen(Terminal& terminal) {
  std::string text;
  while (occurrences(text, home) < 2) text += terminal.read_until(home);
  const auto begin = text.find(home);
  return text.substr(begin, text.find(home, begin + home.size()) - begin);
}

TEST(WatchAtATerminal, ShowsWhatFitsOnTheScreen) {
  DaemonUnderTest daemon(mode_named("pool"));
  Terminal terminal;
  terminal.set_size(10, 80);
  Program status(forkechod, watch(daemon, {"--every", "20ms"}), terminal.options());
  const std::string screen = whole_screen(terminal);
  EXPECT_EQ(occurrences(screen, "\r\n"), 9) << screen;
  EXPECT_THAT(screen, HasSubstr("..."));
}

TEST(WatchAtATerminal, EndsWithTheDaemon) {
  DaemonUnderTest daemon;
  Terminal terminal;
  Program status(forkechod, watch(daemon, {"--every", "20ms"}), terminal.options());
  EXPECT_THAT(terminal.read_until(home), HasSubstr(hide_cursor));
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(status.wait(), 0);
  const std::string last = terminal.read_until(show_cursor);
  EXPECT_THAT(last, HasSubstr("the daemon has ended"));
}

TEST(WatchInAFile, WritesABlockForEachLook) {
  DaemonUnderTest daemon;
  Program status(forkechod, watch(daemon, {"--every", "20ms"}));
  EXPECT_TRUE(
      eventually(patience(), [&] { return occurrences(status.out(), "\nforkechod ") >= 2; }));
  status.signal(SIGINT);
  EXPECT_EQ(status.wait(), 0);
  EXPECT_THAT(status.out(), Not(HasSubstr("\x1b")));
  EXPECT_THAT(status.out(), testing::StartsWith("forkechod "));
  EXPECT_EQ(status.out().back(), '\n');
}

TEST(WatchInAFile, WithJsonItIsALineForEachLook) {
  DaemonUnderTest daemon;
  Program status(forkechod, watch(daemon, {"--every", "20ms", "--json"}));
  EXPECT_TRUE(eventually(patience(), [&] { return occurrences(status.out(), "\n") >= 3; }));
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(status.wait(), 0);
  std::istringstream lines(status.out());
  for (std::string line; std::getline(lines, line);)
    EXPECT_EQ(nlohmann::json::parse(line).at("pid"), daemon.pid());
}

TEST(Watch, ComesEverySecond) {
  DaemonUnderTest daemon;
  const auto start = sys::Clock::now();
  Program status(forkechod, watch(daemon, {"--json"}));
  EXPECT_TRUE(eventually(patience(), [&] { return occurrences(status.out(), "\n") >= 2; }));
  EXPECT_GE(sys::Clock::now() - start, 900ms);
}

TEST(Watch, WithoutADaemonIsOneLine) {
  const TempDir directory;
  const Outcome outcome =
      run_program(forkechod, {"status", "--watch", "--control", directory.path("c.sock")});
  EXPECT_EQ(outcome.exitcode, 69);
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
}

}  // namespace
}  // namespace forkecho::tests
