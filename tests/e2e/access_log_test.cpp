// --access-log: a line for each connection, which say together what the books say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <sstream>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class AccessLogged : public testing::TestWithParam<ModeUnderTest> {
 protected:
  Arguments with_access_log() const { return {"--access-log", file(), "--log-format", "json"}; }
  std::string file() const { return directory_.path("access"); }
  std::vector<json> lines() const {
    std::istringstream stream(content_of(file()));
    std::vector<json> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
    return lines;
  }
  /// What the lines say, as the books would.
  BooksSeen tally() const {
    BooksSeen seen;
    for (const json& line : lines()) {
      const std::string ending = line.at("ending");
      ++seen.accepted;
      if (ending == "served") ++seen.served;
      if (ending == "crashed") ++seen.crashed;
      if (ending == "fork_failed") ++seen.fork_failed;
      if (ending.starts_with("refused_")) ++seen.refused;
      if (ending.ends_with("_timeout")) ++seen.timed_out;
      seen.bytes_in += line.at("bytes_in").get<std::uint64_t>();
      seen.bytes_out += line.at("bytes_out").get<std::uint64_t>();
    }
    return seen;
  }
  void expect_equal(const BooksSeen& books) const {
    const BooksSeen seen = tally();
    SCOPED_TRACE(testing::PrintToString(books) + "\n" + testing::PrintToString(seen));
    EXPECT_EQ(seen.accepted, books.accepted);
    EXPECT_EQ(seen.served, books.served);
    EXPECT_EQ(seen.crashed, books.crashed);
    EXPECT_EQ(seen.refused, books.refused);
    EXPECT_EQ(seen.timed_out, books.timed_out);
    EXPECT_EQ(seen.fork_failed, books.fork_failed);
  }

  const TempDir directory_;
};

TEST_P(AccessLogged, EachConnectionHasItsLine) {
  DaemonUnderTest daemon(GetParam(), with_access_log());
  TestClient client(daemon.target());
  const std::string name = sys::SocketAddress::local(client.get()).to_string();
  ASSERT_EQ(client.ask("hello").data, "HELLO");
  EXPECT_EQ(lines().size(), 0U);
  client.close();
  ASSERT_TRUE(eventually(patience(), [&] { return lines().size() == 1; }));
  const json line = lines().front();
  EXPECT_EQ(line.at("peer"), name);
  EXPECT_EQ(line.at("ending"), "served");
  EXPECT_EQ(line.at("bytes_in"), 5);
  EXPECT_EQ(line.at("bytes_out"), 5);
  EXPECT_GT(line.at("duration_s"), 0);
  EXPECT_EQ(line.at("role"), GetParam().has_acceptor() ? "child" : "worker");
  EXPECT_GT(line.at("pid"), 0);
}

TEST_P(AccessLogged, TheLinesEqualTheBooks) {
  DaemonUnderTest daemon(GetParam(), with_access_log());
  ClientSwarm swarm(
      {.target = daemon.target(), .holding = GetParam().holds_others_up() ? 0U : 3U, .fresh = 3});
  ASSERT_TRUE(swarm.wait_for_replies(200));
  ASSERT_TRUE(swarm.stop());
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(daemon.stop(), 0);
  expect_equal(*books);
  EXPECT_EQ(tally().accepted, swarm.totals().connected);
  EXPECT_EQ(tally().bytes_in, books->bytes_in);
  EXPECT_EQ(tally().bytes_out, books->bytes_out);
}

/// Whatever is killed, and at whatever moment.
TEST_P(AccessLogged, TheLinesEqualTheBooksAlsoAfterKills) {
  std::mt19937 random(static_cast<unsigned>(getpid()));
  SCOPED_TRACE("seed " + std::to_string(getpid()));
  DaemonUnderTest daemon(GetParam(), with_access_log());
  ClientSwarm swarm(
      {.target = daemon.target(), .holding = GetParam().holds_others_up() ? 0U : 3U, .fresh = 4});
  for (int round = 0; round < soak(25, 1000); ++round) {
    ASSERT_TRUE(swarm.wait_for_replies(10)) << daemon.log();
    const auto living = living_below(daemon.pid());
    if (!living.empty()) kill(living[random() % living.size()].pid, SIGKILL);
  }
  ASSERT_TRUE(swarm.stop());
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().balance(); }));
  EXPECT_EQ(daemon.stop(), 0);
  expect_equal(*books);
}

TEST_P(AccessLogged, ARefusedClientHasALineAsWell) {
  if (!GetParam().is_fork() && !GetParam().is_event()) GTEST_SKIP() << "its limit is another";
  Arguments arguments = with_access_log();
  for (const char* more : {"--max-connections", "1", "--when-full", "refuse"})
    arguments.push_back(more);
  DaemonUnderTest daemon(GetParam(), arguments);
  TestClient first(daemon.target());
  ASSERT_EQ(first.ask("x").data, "X");
  TestClient second(daemon.target());
  const std::string name = sys::SocketAddress::local(second.get()).to_string();
  EXPECT_EQ(second.receive_to_end().heard, Heard::end);
  ASSERT_TRUE(eventually(patience(), [&] { return lines().size() == 1; }));
  EXPECT_EQ(lines().front().at("ending"), "refused_full");
  EXPECT_EQ(lines().front().at("peer"), name);
}

TEST_P(AccessLogged, AFullDiskHoldsUpNobodyAndIsTold) {
  DaemonUnderTest daemon(GetParam(), {"--access-log", "/dev/full"});
  for (int i = 0; i < 5; ++i) {
    TestClient client(daemon.target());
    ASSERT_EQ(client.ask("x").data, "X");
  }
  EXPECT_TRUE(eventually(patience(), [&] {
    return daemon.status().at("log").at("access_lost") == 5;
  })) << daemon.status();
  EXPECT_TRUE(eventually(patience(), [&] {
    return daemon.log().find("of the access log could not be written") != std::string::npos;
  }));
  EXPECT_EQ(daemon.books_at_rest()->served, 5U);
}

std::ptrdiff_t lines_in(const std::string& path) {
  const std::string content = content_of(path);
  return std::count(content.begin(), content.end(), '\n');
}

/// Rotation is by others: they move the file, and say so.
TEST_P(AccessLogged, OpenedAnewNoLineIsLost) {
  DaemonUnderTest daemon(GetParam(), with_access_log());
  ClientSwarm swarm({.target = daemon.target(), .holding = 0, .fresh = 3});
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(swarm.wait_for_replies(30));
    std::filesystem::rename(file(), file() + std::to_string(round));
    ASSERT_EQ(run_program(forkechod, {"reopen-logs", "--control", daemon.control()}).exitcode, 0);
    // Free at this moment: nobody writes there any more.
    const auto free = lines_in(file() + std::to_string(round));
    ASSERT_TRUE(swarm.wait_for_replies(10));
    EXPECT_EQ(lines_in(file() + std::to_string(round)), free);
  }
  ASSERT_TRUE(swarm.stop());
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(daemon.stop(), 0);
  std::ptrdiff_t lines = lines_in(file());
  for (int round = 0; round < 5; ++round) lines += lines_in(file() + std::to_string(round));
  EXPECT_EQ(static_cast<std::uint64_t>(lines), books->accepted);
}

INSTANTIATE_TEST_SUITE_P(Modes, AccessLogged, testing::ValuesIn(all_modes), name_of_mode);

TEST(AccessLog, AKilledChildsLineIsThere) {
  const TempDir directory;
  DaemonUnderTest daemon({"--access-log", directory.path("access")});
  TestClient client(daemon.target());
  const std::string name = sys::SocketAddress::local(client.get()).to_string();
  ASSERT_EQ(client.ask("x").data, "X");
  const pid_t child = daemon.status().at("slots").at(0).at("pid");
  kill(child, SIGKILL);
  EXPECT_TRUE(
      eventually(patience(), [&] { return !content_of(directory.path("access")).empty(); }));
  EXPECT_THAT(content_of(directory.path("access")), HasSubstr(name + " crashed "));
  EXPECT_THAT(content_of(directory.path("access")),
              HasSubstr(" in=1 out=1 child=" + std::to_string(child) + "\n"));
}

TEST(AccessLog, AFileThatCannotBeOpenedIsOneLine) {
  const TempDir directory;
  const Outcome outcome =
      run_program(forkechod, {"run", "--listen", "127.0.0.1:0", "--control",
                              directory.path("c.sock"), "--access-log", "/nowhere/access"});
  EXPECT_EQ(outcome.exitcode, 71);
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("/nowhere/access"));
}

}  // namespace
}  // namespace forkecho::tests
