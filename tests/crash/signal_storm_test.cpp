// Signals to supervisor, acceptors and newborn children at every moment around a fork: none is
// lost, and none is acted on by the wrong process.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ostream>
#include <random>

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

/// Whoever comes to `step` is held there until the hold is let go.
class Hold {
 public:
  Hold(StepControl& steps, const std::string& step) : steps_(steps) {
    steps_.order({.step = step, .action = StepAction::hold, .argument = 1});
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() { let_go(); }
  pid_t wait_for_somebody() {
    EXPECT_TRUE(steps_.wait_until_done(1));
    return steps_.last();
  }
  void let_go() { steps_.withdraw(); }

 private:
  StepControl& steps_;
};

std::string name_of_step(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

class SignalToNewbornChild : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Steps, SignalToNewbornChild,
                         testing::Values("acceptor.child.born", "process.child.bound",
                                         "acceptor.child.ready"),
                         name_of_step);

/// TERM says to one child: answer what you have, then close. Its acceptor must not drain for it.
/// The others mean nothing to it, also a HUP, which the kernel sends when the parent has died.
TEST_P(SignalToNewbornChild, IsActedOnByThatChildAlone) {
  StepControl steps;
  DaemonUnderTest daemon(steps.options(mode_named("fork")));
  TestClient bystander(daemon.target());
  ASSERT_EQ(bystander.ask("in").data, "IN");
  const pid_t acceptor = daemon.accepting_processes().at(0);
  const int rounds = soak(10, 500);
  for (int round = 0; round < rounds; ++round) {
    Hold hold(steps, GetParam());
    TestClient client(daemon.target());
    ASSERT_TRUE(client.send("received"));
    const pid_t child = hold.wait_for_somebody();
    ASSERT_NE(child, acceptor);
    for (const int number : {SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD})
      kill(child, number);
    hold.let_go();
    const Reply reply = client.receive_to_end();
    ASSERT_EQ(reply.data, "RECEIVED") << round;
    ASSERT_EQ(reply.heard, Heard::end) << "the signal was lost";
    ASSERT_EQ(bystander.ask("still").data, "STILL");
  }
  EXPECT_EQ(daemon.accepting_processes(), std::vector<pid_t>{acceptor});
  bystander.close();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->timed_out, static_cast<std::uint64_t>(rounds));  // drained, one by one
  EXPECT_EQ(books->served, 1U);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
}

/// QUIT has no handler in a child.
TEST_P(SignalToNewbornChild, ThatEndsItEndsNobodyElse) {
  StepControl steps;
  DaemonUnderTest daemon(steps.options(mode_named("fork")));
  TestClient bystander(daemon.target());
  ASSERT_EQ(bystander.ask("in").data, "IN");
  const pid_t acceptor = daemon.accepting_processes().at(0);
  const int rounds = soak(5, 100);
  for (int round = 0; round < rounds; ++round) {
    Hold hold(steps, GetParam());
    TestClient client(daemon.target());
    ASSERT_TRUE(client.connected());
    kill(hold.wait_for_somebody(), round % 2 == 0 ? SIGKILL : SIGQUIT);
    hold.let_go();
    ASSERT_NE(client.receive_to_end().heard, Heard::timed_out);
    ASSERT_EQ(bystander.ask("still").data, "STILL");
  }
  EXPECT_EQ(daemon.accepting_processes(), std::vector<pid_t>{acceptor});
  bystander.close();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->crashed, static_cast<std::uint64_t>(rounds));
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
}

class SignalToAcceptor : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Steps, SignalToAcceptor,
                         testing::Values("acceptor.accept.taken", "acceptor.fork.before",
                                         "acceptor.fork.after", "acceptor.fork.booked",
                                         "acceptor.reap.found"),
                         name_of_step);

/// TERM drains the acceptor: it takes in nobody any more, and the child that is being forked serves
/// its client to the end.
TEST_P(SignalToAcceptor, InTheMidstOfAForkIsItsOwnAndNotTheChilds) {
  StepControl steps;
  DaemonUnderTest daemon(steps.options(mode_named("fork")));
  for (int round = 0; round < soak(5, 200); ++round) {
    ASSERT_EQ(TestClient(daemon.target()).ask("first").data, "FIRST");
    ASSERT_TRUE(daemon.books_at_rest());
    const pid_t acceptor = daemon.accepting_processes().at(0);
    Hold hold(steps, GetParam());
    TestClient client(daemon.target());
    if (GetParam() == "acceptor.reap.found") {
      ASSERT_EQ(TestClient(daemon.target()).ask("ends").data, "ENDS");
    }
    ASSERT_EQ(hold.wait_for_somebody(), acceptor);
    kill(acceptor, SIGTERM);
    hold.let_go();
    for (int i = 0; i < 3; ++i) ASSERT_EQ(client.ask("served").data, "SERVED") << daemon.log();
    client.half_close();
    ASSERT_EQ(client.receive_to_end().heard, Heard::end);
    client.close();
    // It was not lost: the acceptor leaves when its last child has left.
    ASSERT_TRUE(eventually(patience(), [&] {
      const auto now = daemon.accepting_processes();
      return now.size() == 1 && now.front() != acceptor;
    }));
  }
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->served, books->accepted);
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
}

pid_t one_that_serves_nobody(DaemonUnderTest& daemon) {
  const auto status = daemon.status();
  for (const pid_t pid : daemon.accepting_processes()) {
    const bool serves = std::any_of(
        status["slots"].begin(), status["slots"].end(),
        [pid](const auto& slot) { return slot["pid"] == pid && slot["state"] == "serving"; });
    if (!serves) return pid;
  }
  return 0;
}

class SignalToSupervisor : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Steps, SignalToSupervisor,
                         testing::Values("process.start.flushed", "process.start.forked",
                                         "process.child.born", "process.child.ready"),
                         name_of_step);

/// In the midst of replacing somebody it is told to drain, and, while it drains, to end at once.
TEST_P(SignalToSupervisor, InTheMidstOfAForkIsNotLostAndNotItsChilds) {
  for (const char* name : {"fork", "pool", "event"}) {
    SCOPED_TRACE(name);
    const ModeUnderTest& mode = mode_named(name);
    StepControl steps;
    Arguments short_lives;
    if (mode.is_pool()) short_lives = {"--connections-per-worker-life", "2"};
    DaemonUnderTest daemon(steps.options(mode, short_lives));
    TestClient client(daemon.target());
    ASSERT_EQ(client.ask("in").data, "IN");
    const pid_t victim = one_that_serves_nobody(daemon);
    ASSERT_NE(victim, 0);
    Hold hold(steps, GetParam());
    if (mode.is_pool()) {
      // Until so many have had all their clients that there are too few.
      for (int i = 0; i < 30 && steps.done() == 0; ++i) {
        ASSERT_EQ(TestClient(daemon.target()).ask("once").data, "ONCE");
        steps.wait_until_done(1, 0, sys::Deadline::after(50ms));
      }
    } else {
      kill(victim, SIGKILL);
    }
    hold.wait_for_somebody();
    daemon.signal(SIGTERM);
    hold.let_go();
    ASSERT_TRUE(
        eventually(patience(), [&] { return daemon.log().find("draining") != std::string::npos; }));
    EXPECT_EQ(client.ask("still").data, "STILL") << daemon.log();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait(), 0) << daemon.log();
    EXPECT_NE(daemon.log().find("ending at once"), std::string::npos);
  }
}

/// All that is harmless, to everybody, at random, with every step around a fork drawn out: nothing
/// happens but what would have happened.
TEST(SignalStorm, ChangesNothing) {
  std::mt19937 random(static_cast<unsigned>(getpid()));
  SCOPED_TRACE("seed " + std::to_string(getpid()));
  constexpr int supervisors[] = {SIGCHLD, SIGCONT, SIGWINCH, SIGPIPE, SIGURG};
  constexpr int acceptors[] = {SIGCHLD, SIGCONT, SIGWINCH, SIGPIPE, SIGURG,
                               SIGHUP,  SIGINT,  SIGTTIN,  SIGTTOU};
  constexpr int childrens[] = {SIGCHLD, SIGCONT, SIGWINCH, SIGPIPE, SIGURG, SIGHUP,
                               SIGINT,  SIGTTIN, SIGTTOU,  SIGUSR1, SIGUSR2};
  StepControl steps;
  DaemonUnderTest daemon(steps.options(mode_named("fork")));
  // It has its title when it has settled in.
  ASSERT_TRUE(eventually(patience(), [&] { return daemon.accepting_processes().size() == 1; }));
  const auto before = daemon.accepting_processes();
  steps.order({.step = "acceptor.fork.before",
               .action = StepAction::delay,
               .argument = 300,
               .times = 1 << 30},
              0);
  steps.order({.step = "acceptor.fork.after",
               .action = StepAction::delay,
               .argument = 300,
               .times = 1 << 30},
              1);
  steps.order({.step = "acceptor.child.born",
               .action = StepAction::delay,
               .argument = 300,
               .times = 1 << 30},
              2);
  steps.order({.step = "process.child.bound",
               .action = StepAction::delay,
               .argument = 300,
               .times = 1 << 30},
              3);
  ClientSwarm swarm({.target = daemon.target(), .holding = 2, .fresh = 4});
  const auto end = sys::Deadline::after(std::chrono::seconds(soak(2, 60)));
  std::uint64_t sent = 0;
  while (!end.passed()) {
    kill(daemon.pid(), supervisors[random() % std::size(supervisors)]);
    for (const pid_t acceptor : daemon.accepting_processes()) {
      kill(acceptor, acceptors[random() % std::size(acceptors)]);
      // Its children, the newborn among them; pids that are not reaped meanwhile are theirs still.
      for (const pid_t child : children_of(acceptor)) {
        if (getsid(child) != daemon.pid()) continue;
        sent += kill(child, childrens[random() % std::size(childrens)]) == 0;
      }
    }
  }
  EXPECT_GT(sent, 100U);
  ASSERT_TRUE(swarm.stop());
  const ClientCounts clients = swarm.totals();
  SCOPED_TRACE(testing::PrintToString(clients));
  EXPECT_GT(clients.replies, 50U);
  EXPECT_EQ(clients.wrong + clients.cut_short + clients.unanswered + clients.silent +
                clients.resets + clients.not_connected,
            0U);
  EXPECT_EQ(daemon.accepting_processes(), before);
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->accepted, clients.connected);
  EXPECT_EQ(books->served, clients.connected);
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
}

/// One sent after the previous of its kind was handled: thousands of children end meanwhile, and
/// each TERM to one of them is heard by it, however the signals crowd.
TEST(SignalStorm, LosesNone) {
  StepControl steps;
  DaemonUnderTest daemon(steps.options(mode_named("fork")));
  steps.order({.step = "acceptor.child.born",
               .action = StepAction::delay,
               .argument = 500,
               .times = 1 << 30},
              0);
  steps.order({.step = "acceptor.fork.after",
               .action = StepAction::delay,
               .argument = 500,
               .times = 1 << 30},
              1);
  ClientSwarm swarm({.target = daemon.target(), .holding = 0, .fresh = 3});
  const pid_t acceptor = daemon.accepting_processes().at(0);
  for (int round = 0; round < soak(20, 1000); ++round) {
    TestClient client(daemon.target());
    ASSERT_EQ(client.ask("in").data, "IN");
    const std::string peer = sys::SocketAddress::local(client.get()).to_string();
    pid_t child = 0;
    ASSERT_TRUE(eventually(patience(), [&] {
      for (const pid_t pid : children_of(acceptor)) {
        if (title_of(pid).find(peer) != std::string::npos) child = pid;
      }
      return child != 0;
    }));
    kill(child, SIGTERM);
    ASSERT_EQ(client.receive_to_end().heard, Heard::end) << round;
  }
  ASSERT_TRUE(swarm.stop());
  EXPECT_EQ(swarm.totals().wrong + swarm.totals().resets + swarm.totals().unanswered, 0U);
  EXPECT_EQ(daemon.accepting_processes(), std::vector<pid_t>{acceptor});
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
}

}  // namespace
}  // namespace forkecho::tests
