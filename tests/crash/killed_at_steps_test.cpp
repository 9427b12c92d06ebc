// kill -9 of the supervisor, and of whoever accepts, at every step around a fork
// (common/mp/step.h): of the first nobody survives and the port binds again at once; by the second
// nobody in the queue is lost, and nobody who has a process of their own.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ostream>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/soak.h"
#include "tests/support/step_control.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

struct KillStep {
  std::string step;
  StepAction action;                  // who is killed, as seen from who comes to the step
  std::vector<std::string> modes;     // in which it is come to
  bool takes_a_client_along = false;  // one that was accepted and has no process yet
  bool needs_a_client = true;
};
void PrintTo(const KillStep& kill, std::ostream* out) {
  *out << kill.step;
}
std::string name_of_step(const testing::TestParamInfo<KillStep>& info) {
  std::string name = info.param.step;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

const std::vector<std::string> all{
    "fork",           "fork_acceptors",  "pool", "pool_lock", "pool_passing",
    "pool_reuseport", "pool_single_use", "event"};
const std::vector<std::string> workers{"pool", "pool_lock", "pool_passing", "pool_reuseport"};
/// Whoever accepts there reaps children.
const std::vector<std::string> acceptors{"fork", "fork_acceptors", "pool_single_use"};
const std::vector<std::string> forking{"fork", "fork_acceptors"};

const std::vector<KillStep> supervisor_steps{
    {"process.start.flushed", StepAction::kill_supervisor, all, false, false},
    {"process.start.forked", StepAction::kill_supervisor, all, false, false},
    {"process.child.born", StepAction::kill_supervisor, all, false, false},
    {"process.child.ready", StepAction::kill_supervisor, all, false, false},
    {"process.child.bound", StepAction::kill_supervisor, all, false, false},
    {"acceptor.accept.taken", StepAction::kill_supervisor, forking},
    {"acceptor.fork.before", StepAction::kill_supervisor, forking},
    {"acceptor.fork.after", StepAction::kill_supervisor, forking},
    {"acceptor.fork.booked", StepAction::kill_supervisor, forking},
    {"acceptor.child.born", StepAction::kill_supervisor, forking},
    {"acceptor.child.ready", StepAction::kill_supervisor, forking},
    {"acceptor.child.served", StepAction::kill_supervisor, acceptors},
    {"acceptor.reap.found", StepAction::kill_supervisor, acceptors},
    {"acceptor.reap.booked", StepAction::kill_supervisor, acceptors},
    {"acceptor.reap.done", StepAction::kill_supervisor, acceptors},
    {"spare.accept.taken", StepAction::kill_supervisor, {"pool_single_use"}},
    {"spare.accept.told", StepAction::kill_supervisor, {"pool_single_use"}},
    {"worker.accept.taken", StepAction::kill_supervisor, workers},
    {"worker.serve.ended", StepAction::kill_supervisor, workers},
    {"event.accept.taken", StepAction::kill_supervisor, {"event"}},
};

class SupervisorKilledAt : public testing::TestWithParam<KillStep> {};
INSTANTIATE_TEST_SUITE_P(Steps, SupervisorKilledAt, testing::ValuesIn(supervisor_steps),
                         name_of_step);

/// One after another on the same port, control socket and pid file.
TEST_P(SupervisorKilledAt, NobodySurvivesAndThePortBindsAgain) {
  const TempDir directory;
  const std::string target = DaemonUnderTest().target();
  StepControl steps;
  for (int round = 0; round < soak(20, 1000); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const ModeUnderTest& mode =
        mode_named(GetParam().modes[static_cast<std::size_t>(round) % GetParam().modes.size()]);
    // One acceptor is started unless there are to be several, and an event worker for each
    // processor.
    const bool starts_many =
        mode.name == "fork_acceptors" || (mode.is_pool() && !mode.has_acceptor());
    const bool comes_often = GetParam().needs_a_client || starts_many;
    steps.order({.step = GetParam().step,
                 .action = GetParam().action,
                 .skip = comes_often ? round % 3 : 0});
    Arguments arguments{"run", "--listen", target, "--control", directory.path("d.sock")};
    for (const Arguments& more : {StepControl::free_to_obey(), mode.arguments})
      arguments.insert(arguments.end(), more.begin(), more.end());
    Program daemon(forkechod_with_steps(), arguments, steps.program_options());
    // Clients, that it may come to its step.
    const bool killed = eventually(patience(), [&] {
      if (!daemon.is_alive()) return true;
      if (!GetParam().needs_a_client) return false;
      TestClient client(target);
      if (client.connected() && client.send("x")) client.receive(1, sys::Deadline::after(100ms));
      return false;
    });
    ASSERT_TRUE(killed) << mode.name << daemon.err();
    ASSERT_EQ(daemon.wait(), -SIGKILL) << daemon.err();
    ASSERT_TRUE(eventually(patience(), [&] { return living_below(daemon.pid()).empty(); }))
        << mode.name;
  }
  steps.withdraw();
  DaemonUnderTest daemon(
      {.arguments = {}, .listen = {target}, .control = directory.path("d.sock"), .program = {}});
  EXPECT_EQ(TestClient(target).ask("alive").data, "ALIVE");
}

const std::vector<KillStep> acceptor_steps{
    {"acceptor.accept.taken", StepAction::kill_self, forking, true},
    {"acceptor.accept.booked", StepAction::kill_self, forking, true},
    {"acceptor.fork.before", StepAction::kill_self, forking, true},
    {"acceptor.fork.after", StepAction::kill_self, forking},
    {"acceptor.fork.booked", StepAction::kill_self, forking},
    {"acceptor.reap.found", StepAction::kill_self, acceptors},
    {"acceptor.reap.booked", StepAction::kill_self, acceptors},
    {"acceptor.reap.done", StepAction::kill_self, acceptors},
    // The acceptor is somewhere else meanwhile: perhaps where it has just accepted the next.
    {"acceptor.child.born", StepAction::kill_parent, forking, true},
    {"process.child.bound", StepAction::kill_parent, forking, true},
    {"acceptor.child.ready", StepAction::kill_parent, forking, true},
    {"acceptor.child.served", StepAction::kill_parent, forking, true},
    {"spare.accept.taken", StepAction::kill_self, {"pool_single_use"}, true},
    {"spare.accept.told", StepAction::kill_self, {"pool_single_use"}, true},
    {"worker.accept.taken", StepAction::kill_self, workers, true},
    {"worker.serve.begun", StepAction::kill_self, workers, true},
    {"worker.serve.ended", StepAction::kill_self, workers},
    {"event.accept.taken", StepAction::kill_self, {"event"}, true},
    {"event.serve.begun", StepAction::kill_self, {"event"}, true},
};

class AcceptorKilledAt : public testing::TestWithParam<KillStep> {};
INSTANTIATE_TEST_SUITE_P(Steps, AcceptorKilledAt, testing::ValuesIn(acceptor_steps), name_of_step);

TEST_P(AcceptorKilledAt, NobodyElseIsLost) {
  for (const std::string& mode : GetParam().modes) {
    SCOPED_TRACE(mode);
    StepControl steps;
    DaemonUnderTest daemon(steps.options(mode_named(mode)));
    ASSERT_EQ(TestClient(daemon.target()).ask("first").data, "FIRST");
    // Under many clients nobody is forked ahead: each is forked for, and spares have no part in it.
    const bool of_a_spare = GetParam().step.starts_with("spare.");
    ClientSwarm swarm({.target = daemon.target(), .holding = 0, .fresh = of_a_spare ? 1U : 5U});
    ASSERT_TRUE(swarm.wait_for_replies(1));
    const auto rounds = static_cast<unsigned>(soak(30, 1000));
    for (unsigned round = 0; round < rounds; ++round) {
      // One that has served before: whoever dies before its first connection may be replaced after
      // a pause only.
      ASSERT_TRUE(swarm.wait_for_replies(1)) << daemon.log();
      steps.order({.step = GetParam().step,
                   .action = GetParam().action,
                   .skip = 2 + static_cast<int>(round % 3)});
      ASSERT_TRUE(steps.wait_until_done(1)) << round << daemon.log();
    }
    ASSERT_TRUE(swarm.wait_for_replies(2)) << daemon.log();
    ASSERT_TRUE(swarm.stop()) << testing::PrintToString(swarm.totals());
    const ClientCounts clients = swarm.totals();
    SCOPED_TRACE(testing::PrintToString(clients));
    EXPECT_EQ(clients.wrong + clients.silent + clients.not_connected, 0U);
    const std::uint64_t lost = clients.resets + clients.unanswered + clients.cut_short;
    const bool event = mode == "event";
    const std::uint64_t most_at_once = event ? 5 : GetParam().takes_a_client_along ? 1 : 0;
    EXPECT_LE(lost, rounds * most_at_once);
    const auto books = daemon.books_at_rest();
    ASSERT_TRUE(books);
    EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().balance(); }))
        << testing::PrintToString(daemon.books());
    EXPECT_LE(books->accepted, clients.connected + 1);
    EXPECT_GE(books->accepted + rounds, clients.connected + 1);
    EXPECT_EQ(daemon.stop(), 0) << daemon.log();
  }
}

/// What a child's connection came to is in the books once, whenever the acceptor that reaps it is
/// killed.
TEST(AcceptorKilledWhileItReaps, NoConnectionIsLostOrBookedTwice) {
  for (const std::string& mode : acceptors) {
    for (const char* step : {"acceptor.reap.found", "acceptor.reap.booked", "acceptor.reap.done"}) {
      SCOPED_TRACE(mode + " " + step);
      StepControl steps;
      DaemonUnderTest daemon(steps.options(mode_named(mode)));
      const int rounds = soak(5, 100);
      for (int round = 1; round <= rounds; ++round) {
        ASSERT_EQ(TestClient(daemon.target()).ask("first").data, "FIRST");
        ASSERT_TRUE(daemon.books_at_rest());
        steps.order({.step = step, .action = StepAction::kill_self});
        ASSERT_EQ(TestClient(daemon.target()).ask("twice?").data, "TWICE?");
        ASSERT_TRUE(steps.wait_until_done(1)) << daemon.log();
        const auto books = daemon.books_at_rest();
        ASSERT_TRUE(books);
        const auto served = static_cast<std::uint64_t>(2 * round);
        ASSERT_EQ(books->accepted, served);
        ASSERT_EQ(books->served, served);
        ASSERT_EQ(books->bytes_in, 11 * static_cast<std::uint64_t>(round));
      }
    }
  }
}

}  // namespace
}  // namespace forkecho::tests
