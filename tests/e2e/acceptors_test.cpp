// Several acceptors (--acceptors): each is shown, none holds the others up, and a reload changes
// how many there are. What holds of every mode is tested with three of them, too (all_modes).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <set>

#include "common/mp/cpu_count.h"
#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const ModeUnderTest& three() {
  return mode_named("fork_acceptors");
}

bool is_stopped(const DaemonUnderTest& daemon, pid_t pid) {
  const auto below = living_below(daemon.pid());
  return std::any_of(below.begin(), below.end(), [pid](const ProcessView& view) {
    return view.pid == pid && view.state == 'T';
  });
}

std::set<pid_t> acceptors_shown(DaemonUnderTest& daemon) {
  std::set<pid_t> pids;
  const auto status = daemon.status();
  for (const auto& acceptor : status["acceptors"]) pids.insert(acceptor["pid"].get<pid_t>());
  return pids;
}

TEST(Acceptors, AreShownOneByOne) {
  DaemonUnderTest daemon(three());
  const auto pids = daemon.accepting_processes();
  ASSERT_EQ(pids.size(), 3U);
  EXPECT_EQ(acceptors_shown(daemon), std::set<pid_t>(pids.begin(), pids.end()));
  std::set<std::string> titles;
  for (const pid_t pid : pids) titles.insert(title_of(pid));
  for (int i = 1; i <= 3; ++i) {
    EXPECT_TRUE(titles.contains("forkechod: acceptor " + std::to_string(i) +
                                " of 3, one child per connection"))
        << testing::PrintToString(titles);
  }
  const Outcome table = run_program(forkechod, {"status", "--control", daemon.control()});
  for (const pid_t pid : pids)
    EXPECT_THAT(table.out, HasSubstr(std::to_string(pid) + ": 0 active, 0 accepted\n"));
}

TEST(Acceptors, AsManyAreTheDefaultAsTheProcessorsAreGoodFor) {
  EXPECT_EQ(DaemonUnderTest({"--mode", "fork"}).status()["acceptors"].size(),
            std::min(2U, mp::cpu_count()));
  EXPECT_EQ(DaemonUnderTest(mode_named("pool")).status()["acceptors"].size(), 0U);
  EXPECT_EQ(DaemonUnderTest(mode_named("pool_single_use")).status()["acceptors"].size(), 1U);
}

TEST(Acceptors, TheirFiguresAddUpToTheDaemons) {
  DaemonUnderTest daemon(three());
  std::vector<TestClient> clients;
  for (int i = 0; i < 30; ++i) {
    clients.emplace_back(daemon.target());
    ASSERT_EQ(clients.back().ask("x").data, "X");
  }
  clients.erase(clients.begin() + 10, clients.end());
  ASSERT_TRUE(daemon.wait_for_active(10));
  const auto status = daemon.status();
  std::uint64_t accepted = 0;
  std::uint64_t active = 0;
  std::uint64_t children = 0;
  for (const auto& acceptor : status["acceptors"]) {
    accepted += acceptor["connections"]["accepted"].get<std::uint64_t>();
    active += acceptor["connections"]["active"].get<std::uint64_t>();
    children += acceptor["children"].get<std::uint64_t>();
  }
  EXPECT_EQ(accepted, 30U);
  EXPECT_EQ(active, 10U);
  EXPECT_EQ(children, 10U);
}

/// Of three, two do nothing: whoever they are, the third serves everyone.
TEST(Acceptors, ThoseWhoAreStoppedHoldUpNobody) {
  DaemonUnderTest daemon(three());
  ASSERT_EQ(TestClient(daemon.target()).ask("first").data, "FIRST");
  const auto pids = daemon.accepting_processes();
  for (const pid_t goes_on : pids) {
    for (const pid_t pid : pids) kill(pid, pid == goes_on ? SIGCONT : SIGSTOP);
    ASSERT_TRUE(eventually(patience(), [&] {
      return std::all_of(pids.begin(), pids.end(),
                         [&](pid_t pid) { return is_stopped(daemon, pid) == (pid != goes_on); });
    }));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(TestClient(daemon.target()).ask("go").data, "GO");
  }
  for (const pid_t pid : pids) kill(pid, SIGCONT);
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->served, 16U);
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
}

TEST(Acceptors, OneThatWaitsIsNotWokenByAnothersClients) {
  DaemonUnderTest daemon({"--acceptors", "2"});
  ASSERT_EQ(TestClient(daemon.target()).ask("first").data, "FIRST");
  ASSERT_TRUE(daemon.books_at_rest());
  // One client at a time leaves the one that registered first free for each.
  constexpr int clients = 200;
  const std::vector<pid_t> acceptors = daemon.accepting_processes();
  std::vector<std::uint64_t> switches;
  for (const pid_t pid : acceptors) switches.push_back(context_switches_of(pid));
  for (int i = 0; i < clients; ++i) {
    ASSERT_EQ(TestClient(daemon.target()).ask("x").data, "X");
    ASSERT_TRUE(daemon.wait_for_active(0));
  }
  for (std::size_t i = 0; i < acceptors.size(); ++i)
    switches[i] = context_switches_of(acceptors[i]) - switches[i];
  // It looks for itself now and then.
  EXPECT_LE(*std::min_element(switches.begin(), switches.end()), clients / 10U);
  EXPECT_GE(*std::max_element(switches.begin(), switches.end()), clients * 9U / 10);
}

TEST(Acceptors, AReloadChangesTheirNumber) {
  const TempDir directory;
  const std::string config = directory.path("c");
  const auto configure = [&](int acceptors) {
    std::ofstream(config) << "acceptors = " << acceptors << "\n";
  };
  configure(1);
  DaemonUnderTest daemon({"--config", config});
  ClientSwarm swarm({.target = daemon.target(), .holding = 3, .fresh = 3, .persists = false});
  for (const int wanted : {3, 2, 8, 1}) {
    ASSERT_TRUE(swarm.wait_for_replies(5)) << daemon.log();
    configure(wanted);
    const Outcome outcome = run_program(forkechod, {"reload", "--control", daemon.control()});
    ASSERT_EQ(outcome.exitcode, 0) << outcome.err << daemon.log();
    EXPECT_TRUE(eventually(patience(), [&] {
      return acceptors_shown(daemon).size() == static_cast<std::size_t>(wanted);
    }));
  }
  ASSERT_TRUE(swarm.wait_for_replies(5));
  ASSERT_TRUE(swarm.stop());
  const ClientCounts clients = swarm.totals();
  SCOPED_TRACE(testing::PrintToString(clients));
  EXPECT_EQ(clients.not_connected + clients.resets + clients.wrong + clients.unanswered +
                clients.cut_short + clients.silent,
            0U);
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
  EXPECT_EQ(books->accepted, clients.connected);
}

/// Of six hundred held connections those who end or are killed, many at once, are booked.
TEST(Acceptors, AmongManyEachEndIsBooked) {
  for (const char* mode : {"fork", "fork_acceptors"}) {
    SCOPED_TRACE(mode);
    DaemonUnderTest daemon(mode_named(mode), {"--slots", "600"});
    std::vector<TestClient> clients;
    for (int i = 0; i < 600; ++i) {
      clients.emplace_back(daemon.target());
      ASSERT_EQ(clients.back().ask("x").data, "X");
    }
    for (int i = 0; i < 50; ++i) ASSERT_EQ(TestClient(daemon.target()).ask("y").data, "Y");
    ASSERT_TRUE(daemon.wait_for_active(600));
    auto status = daemon.status();
    EXPECT_EQ(status["slots"].size(), 600U);
    EXPECT_EQ(status["slots_omitted"], 0);
    for (int i = 0; i < 300; ++i) kill(status["slots"][i]["pid"].get<pid_t>(), SIGKILL);
    EXPECT_TRUE(daemon.wait_for_active(300));
    EXPECT_EQ(daemon.books().crashed, 300U);
    EXPECT_EQ(daemon.status()["slots"].size(), 300U);
    clients.clear();
    const auto books = daemon.books_at_rest();
    ASSERT_TRUE(books);
    EXPECT_EQ(books->served, 350U);
    EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().balance(); }))
        << testing::PrintToString(daemon.books());
    EXPECT_EQ(daemon.stop(), 0) << daemon.log();
  }
}

/// Where the kernel keeps no signal for the acceptor, ends are found by looks (ended_children.h).
TEST(Acceptors, EndsThatNoSignalToldOfAreBooked) {
  for (const char* mode : {"fork", "fork_acceptors", "pool_single_use"}) {
    SCOPED_TRACE(mode);
    DaemonUnderTest daemon(mode_named(mode));
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    for (const pid_t acceptor : acceptors_shown(daemon))
      ASSERT_EQ(prlimit(acceptor, RLIMIT_SIGPENDING, &none, nullptr), 0);
    for (int i = 0; i < 50; ++i) ASSERT_EQ(TestClient(daemon.target()).ask("y").data, "Y");
    const auto books = daemon.books_at_rest();
    ASSERT_TRUE(books);
    EXPECT_EQ(books->served, 50U);
    EXPECT_EQ(daemon.stop(), 0) << daemon.log();
  }
}

}  // namespace
}  // namespace forkecho::tests
