// The pool's ways to accept, when somebody is stopped or killed who holds up others: the holder of
// the lock, the acceptor that passes connections on, those who were to take them, workers forked
// ahead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <csignal>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::vector<pid_t> living_with_title(const DaemonUnderTest& daemon, const std::string& part) {
  std::vector<pid_t> pids;
  for (const ProcessView& view : living_below(daemon.pid())) {
    if (title_of(view.pid).find(part) != std::string::npos) pids.push_back(view.pid);
  }
  return pids;
}

/// The one that waits in accept: the others wait for the lock (proc(5), /proc/pid/syscall).
pid_t holder_of_lock(const DaemonUnderTest& daemon) {
  const std::string in_accept = std::to_string(SYS_accept4) + " ";
  for (const pid_t pid : daemon.accepting_processes()) {
    if (content_of("/proc/" + std::to_string(pid) + "/syscall").starts_with(in_accept)) return pid;
  }
  return 0;
}

std::vector<TestClient> queued_clients(const DaemonUnderTest& daemon, int count) {
  std::vector<TestClient> clients;
  for (int i = 0; i < count; ++i) {
    clients.emplace_back(daemon.target());
    EXPECT_TRUE(clients.back().connected());
    EXPECT_TRUE(clients.back().send("queued"));
    clients.back().half_close();
  }
  return clients;
}

void expect_that_all_are_served(std::vector<TestClient>& clients) {
  for (TestClient& client : clients) {
    const Reply reply = client.receive_to_end();
    EXPECT_EQ(reply.heard, Heard::end);
    EXPECT_EQ(reply.data, "QUEUED");
  }
}

void expect_balance(DaemonUnderTest& daemon, std::uint64_t served) {
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->served, served);
  EXPECT_EQ(books->crashed, 0U);
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().balance(); }))
      << testing::PrintToString(daemon.books());
}

// --- lock

TEST(WhoAcceptsLock, AHolderThatIsStoppedHoldsUpNobodyForLong) {
  DaemonUnderTest daemon(mode_named("pool_lock"));
  TestClient held(daemon.target());
  ASSERT_EQ(held.ask("a").data, "A");
  pid_t holder = 0;
  ASSERT_TRUE(eventually(patience(), [&] { return (holder = holder_of_lock(daemon)) != 0; }));
  kill(holder, SIGSTOP);
  ASSERT_TRUE(eventually(patience(), [&] { return state_of(holder) == 'T'; }));
  auto clients = queued_clients(daemon, 5);
  expect_that_all_are_served(clients);
  EXPECT_THAT(daemon.log(), HasSubstr("the accept lock is replaced"));
  // Whoever was served meanwhile is served still, by a worker that had the old lock.
  EXPECT_EQ(held.ask("still").data, "STILL");
  EXPECT_TRUE(eventually(patience(), [&] { return state_of(holder) == '-'; })) << daemon.log();
  held.close();
  expect_balance(daemon, 6);
  EXPECT_EQ(TestClient(daemon.target()).ask("next").data, "NEXT");
}

TEST(WhoAcceptsLock, AHolderThatIsKilledIsFollowedAtOnce) {
  DaemonUnderTest daemon(mode_named("pool_lock"));
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(TestClient(daemon.target()).ask("a").data, "A");
    pid_t holder = 0;
    ASSERT_TRUE(eventually(patience(), [&] { return (holder = holder_of_lock(daemon)) != 0; }));
    kill(holder, SIGKILL);
    // On its way out it would take the client with it.
    ASSERT_TRUE(eventually(patience(), [&] { return state_of(holder) == '-'; }));
  }
  ASSERT_EQ(TestClient(daemon.target()).ask("a").data, "A");
  expect_balance(daemon, 6);
  EXPECT_THAT(daemon.log(), testing::Not(HasSubstr("the accept lock is replaced")));
}

/// Of a lock that a holder keeps, a drain knows nothing.
TEST(WhoAcceptsLock, ADrainNeedsNoLock) {
  DaemonUnderTest daemon(mode_named("pool_lock"), {"--drain-timeout", "1m"});
  TestClient held(daemon.target());
  ASSERT_EQ(held.ask("a").data, "A");
  pid_t holder = 0;
  ASSERT_TRUE(eventually(patience(), [&] { return (holder = holder_of_lock(daemon)) != 0; }));
  kill(holder, SIGSTOP);
  ASSERT_TRUE(eventually(patience(), [&] { return state_of(holder) == 'T'; }));
  auto clients = queued_clients(daemon, 3);
  daemon.signal(SIGTERM);
  expect_that_all_are_served(clients);
  held.close();
  kill(holder, SIGKILL);
  EXPECT_EQ(daemon.wait(), 0);
  EXPECT_EQ(books_in_log(daemon.log())->served, 4U);
}

// --- passing

TEST(WhoAcceptsPassing, AnAcceptorThatIsStoppedIsReplaced) {
  DaemonUnderTest daemon(mode_named("pool_passing"));
  ASSERT_EQ(TestClient(daemon.target()).ask("a").data, "A");
  const auto acceptors = living_with_title(daemon, "passes connections");
  ASSERT_EQ(acceptors.size(), 1U);
  ASSERT_TRUE(stop_all(acceptors));
  auto clients = queued_clients(daemon, 5);
  expect_that_all_are_served(clients);
  EXPECT_EQ(state_of(acceptors[0]), '-');
  EXPECT_THAT(daemon.log(), HasSubstr("passes nobody on"));
  expect_balance(daemon, 6);
}

/// Who was passed on and not taken is with nobody who could die.
TEST(WhoAcceptsPassing, ConnectionsThatWerePassedOnSurviveTheAcceptorAndAllWorkers) {
  DaemonUnderTest daemon(mode_named("pool_passing"));
  ASSERT_EQ(TestClient(daemon.target()).ask("a").data, "A");
  ASSERT_TRUE(daemon.books_at_rest());
  const auto workers = living_with_title(daemon, "worker, idle");
  ASSERT_TRUE(stop_all(workers));
  auto clients = queued_clients(daemon, 4);
  const auto acceptors = living_with_title(daemon, "passes connections");
  ASSERT_EQ(acceptors.size(), 1U);
  // Passed on: the acceptor waits again.
  ASSERT_TRUE(sleeps(acceptors[0]));
  EXPECT_EQ(daemon.books().accepted, 1U);
  kill(acceptors[0], SIGKILL);
  for (const pid_t pid : workers) kill(pid, SIGKILL);
  expect_that_all_are_served(clients);
  expect_balance(daemon, 5);
}

TEST(WhoAcceptsPassing, TheSupervisorHoldsNoDescriptorForAConnection) {
  DaemonUnderTest daemon(mode_named("pool_passing"));
  ASSERT_EQ(TestClient(daemon.target()).ask("a").data, "A");
  const auto before = descriptors_of(daemon.pid()).size();
  std::vector<TestClient> clients;
  for (int i = 0; i < 6; ++i) clients.emplace_back(daemon.target());
  for (TestClient& client : clients) ASSERT_EQ(client.ask("b").data, "B");
  EXPECT_EQ(descriptors_of(daemon.pid()).size(), before);
  for (const pid_t pid : living_with_title(daemon, "passes connections"))
    EXPECT_LE(descriptors_of(pid).size(), 8U);
}

// --- reuseport

TEST(WhoAcceptsReuseport, ThePoolHasAWorkerForEachQueueAlways) {
  DaemonUnderTest daemon(mode_named("pool_reuseport"));
  EXPECT_EQ(daemon.targets().size(), 1U);
  for (int i = 0; i < 3; ++i) {
    const auto workers = daemon.accepting_processes();
    ASSERT_EQ(workers.size(), 8U);
    for (int k = 0; k < 20; ++k) ASSERT_EQ(TestClient(daemon.target()).ask("a").data, "A");
    ASSERT_TRUE(daemon.books_at_rest());
    kill(workers[static_cast<std::size_t>(i)], SIGKILL);
    ASSERT_TRUE(eventually(patience(), [&] {
      const auto now = daemon.accepting_processes();
      return now.size() == 8 && now != workers;
    }));
  }
  expect_balance(daemon, 60);
}

// --- Workers forked ahead

TEST(WhoAcceptsSingleUse, AClientFindsAWorkerWaiting) {
  DaemonUnderTest daemon(mode_named("pool_single_use"));
  ASSERT_TRUE(eventually(patience(), [&] { return daemon.books().idle >= 4; }));
  const auto before = living_with_title(daemon, "worker, idle");
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("a").data, "A");
  const auto serving = living_with_title(daemon, "serving");
  ASSERT_EQ(serving.size(), 1U);
  EXPECT_EQ(std::count(before.begin(), before.end(), serving[0]), 1);
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().busy == 1; }));
  client.close();
  // One is forked for the one that was used, and it is not used again.
  EXPECT_TRUE(eventually(patience(), [&] {
    return state_of(serving[0]) == '-' && daemon.books().idle >= before.size();
  }));
  expect_balance(daemon, 1);
}

TEST(WhoAcceptsSingleUse, WorkersThatAreStoppedHoldUpNobodyForLong) {
  DaemonUnderTest daemon(mode_named("pool_single_use"));
  ASSERT_TRUE(eventually(patience(), [&] { return daemon.books().idle >= 4; }));
  ASSERT_TRUE(stop_all(living_with_title(daemon, "worker, idle")));
  auto clients = queued_clients(daemon, 5);
  expect_that_all_are_served(clients);
  for (const pid_t pid : living_with_title(daemon, "worker, idle")) kill(pid, SIGCONT);
  expect_balance(daemon, 5);
}

TEST(WhoAcceptsSingleUse, WorkersThatADeadAcceptorForkedAheadLeave) {
  DaemonUnderTest daemon(mode_named("pool_single_use"));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(eventually(patience(), [&] { return daemon.books().idle >= 4; }));
    ASSERT_EQ(TestClient(daemon.target()).ask("a").data, "A");
    const auto workers = living_with_title(daemon, "worker, idle");
    // A worker just forked looks as its acceptor does.
    std::vector<pid_t> acceptors;
    ASSERT_TRUE(eventually(patience(), [&] {
      acceptors = daemon.accepting_processes();
      return acceptors.size() == 1;
    }));
    kill(acceptors[0], SIGKILL);
    EXPECT_TRUE(eventually(patience(), [&] {
      return std::all_of(workers.begin(), workers.end(),
                         [](pid_t pid) { return state_of(pid) == '-'; });
    }));
  }
  ASSERT_EQ(TestClient(daemon.target()).ask("a").data, "A");
  expect_balance(daemon, 4);
}

// --- TTIN and TTOU

class GrowAndShrink : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(GrowAndShrink, ByOneWorker) {
  DaemonUnderTest daemon(GetParam());
  const auto idle = [&] { return daemon.books().idle; };
  const auto grown = [&] { return daemon.status()["pool"]["grown"].get<int>(); };
  ASSERT_TRUE(eventually(patience(), [&] { return idle() == 8; }));
  daemon.signal(SIGTTIN);
  EXPECT_TRUE(eventually(patience(), [&] { return grown() == 1 && idle() == 9; })) << daemon.log();
  EXPECT_EQ(daemon.status()["pool"]["min_spare"], 5);
  daemon.signal(SIGTTOU);
  EXPECT_TRUE(eventually(patience(), [&] { return grown() == 0 && idle() == 8; })) << daemon.log();
  daemon.signal(SIGTTOU);
  EXPECT_TRUE(eventually(patience(), [&] { return grown() == -1 && idle() == 7; })) << daemon.log();
  EXPECT_THAT(daemon.log(), HasSubstr("signal TTIN: the pool keeps 5 to"));
  EXPECT_THAT(daemon.log(), HasSubstr("signal TTOU: the pool keeps 3 to"));
}

INSTANTIATE_TEST_SUITE_P(Modes, GrowAndShrink,
                         testing::Values(mode_named("pool"), mode_named("pool_lock"),
                                         mode_named("pool_passing")),
                         name_of_mode);

/// More than are forked in one burst.
TEST(ForkedAhead, AreAsManyAsWereAskedForAndGrowAndShrink) {
  DaemonUnderTest daemon({"--mode", "pool", "--connections-per-worker-life", "1", "--pool-start",
                          "70", "--pool-min-spare", "70", "--pool-max-spare", "90"});
  const auto become = [&](std::uint64_t idle) {
    return eventually(patience(), [&] { return daemon.books().idle == idle; });
  };
  EXPECT_TRUE(become(70)) << testing::PrintToString(daemon.books());
  daemon.signal(SIGTTIN);
  EXPECT_TRUE(become(71)) << testing::PrintToString(daemon.books());
  daemon.signal(SIGTTOU);
  EXPECT_TRUE(become(70)) << testing::PrintToString(daemon.books());
}

TEST(GrowAndShrinkNot, WhereThereIsNothingToGrow) {
  for (const char* name : {"fork", "pool_reuseport"}) {
    DaemonUnderTest daemon(mode_named(name));
    daemon.signal(SIGTTIN);
    EXPECT_TRUE(eventually(
        patience(), [&] { return daemon.log().find("signal TTIN: ") != std::string::npos; }));
    EXPECT_EQ(TestClient(daemon.target()).ask("a").data, "A");
  }
}

// --- Fairness

TEST(WorkersInStatus, TellHowEvenlyConnectionsAreSpread) {
  DaemonUnderTest daemon(mode_named("pool"));
  for (int i = 0; i < 16; ++i) ASSERT_EQ(TestClient(daemon.target()).ask("a").data, "A");
  ASSERT_TRUE(daemon.books_at_rest());
  const auto workers = daemon.status()["workers"];
  EXPECT_EQ(workers["living"], 8);
  EXPECT_LE(workers["served_min"], workers["served_max"]);
  EXPECT_GT(workers["served_max"], 0);
  EXPECT_GE(workers["jain"], 1.0 / 8);
  EXPECT_LE(workers["jain"], 1.0);
  EXPECT_TRUE(DaemonUnderTest(mode_named("fork")).status()["workers"].is_null());
}

/// Many idle workers that are killed at once are one misfortune, and no reason for a pause.
TEST(PoolKilledWhileIdle, IsReplacedWithoutAPause) {
  DaemonUnderTest daemon(mode_named("pool"));
  ASSERT_TRUE(eventually(patience(), [&] { return daemon.books().idle == 8; }));
  const auto victims = daemon.accepting_processes();
  for (const pid_t pid : victims) kill(pid, SIGKILL);
  // One that is about to die would take the client with it.
  ASSERT_TRUE(eventually(patience(), [&] {
    return std::all_of(victims.begin(), victims.end(),
                       [](pid_t pid) { return state_of(pid) == '-'; });
  }));
  EXPECT_EQ(TestClient(daemon.target()).ask("a").data, "A");
  EXPECT_THAT(daemon.log(), testing::Not(HasSubstr("the next start is in")));
  expect_balance(daemon, 1);
}

}  // namespace
}  // namespace forkecho::tests
