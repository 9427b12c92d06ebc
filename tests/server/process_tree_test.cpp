#include "server/process_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

Options options_of(Mode mode) {
  Options options;
  options.mode = mode;
  options.max_connections = 200;
  options.pool = {.start = 3, .min_spare = 2, .max_spare = 4, .max = 20};
  return options;
}

/// A tree with the test as its supervisor.
class Tree {
 public:
  explicit Tree(Options options) : options_(std::move(options)) {
    listeners_.push_back(Listener::open(tests::address_of("127.0.0.1:0"), 512));
    if (options_.mode == Mode::fork || options_.mode == Mode::event)
      listeners_[0].set_nonblocking();
    tree_.emplace(std::make_shared<const Options>(options_), listeners_);
    tree_->start();
  }
  ~Tree() {
    tree_->kill_all();
    EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
      tree_->kill_all();
      tree_->reap();
      return tree_->empty();
    }));
    EXPECT_TRUE(tests::children_of(getpid()).empty());
  }

  ProcessTree& operator*() { return *tree_; }
  ProcessTree* operator->() { return &*tree_; }
  const Listener& listener() const { return listeners_[0]; }
  sys::Descriptor connect() const { return tests::connect_to(listeners_[0].address()); }
  /// What the supervisor does on SIGCHLD and on its tick.
  void tick() {
    tree_->reap();
    tree_->maintain();
  }
  template <typename Predicate>
  bool until(Predicate predicate) {
    return tests::eventually(tests::patience(), [&] {
      tick();
      return predicate();
    });
  }
  bool balances() const {
    const BookTotals totals = tree_->totals();
    const ChildCounts children = tree_->children();
    return totals.accepted == totals.ended() &&
           children.forked == children.reaped + children.idle + children.busy;
  }

 private:
  const tests::AdoptOrphans adopt_;
  Options options_;
  std::vector<Listener> listeners_;
  std::optional<ProcessTree> tree_;
};

std::vector<sys::Descriptor> connected_clients(Tree& tree, int count) {
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(tree.connect());
    const int client = clients.back().get();
    EXPECT_TRUE(tests::send_all(client, "hello"));
    EXPECT_TRUE(tree.until([client] { return tests::readable(client, sys::Deadline::after(0s)); }));
    EXPECT_EQ(tests::receive(client, 5).data, "HELLO");
  }
  return clients;
}

class ProcessTreeInEveryMode : public testing::TestWithParam<Mode> {};
INSTANTIATE_TEST_SUITE_P(Modes, ProcessTreeInEveryMode,
                         testing::Values(Mode::iterative, Mode::fork, Mode::pool, Mode::event),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST_P(ProcessTreeInEveryMode, ServesAndBalances) {
  Tree tree(options_of(GetParam()));
  for (int i = 0; i < 5; ++i) connected_clients(tree, 1);
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 5 && tree.balances(); }));
  EXPECT_EQ(tree->totals().accepted, 5U);
  EXPECT_EQ(tree->totals().bytes_in, 25U);
  // A worker says that it is idle a moment after its last connection was booked.
  EXPECT_TRUE(tree.until([&] { return tree->children().busy == 0; }));
}

TEST_P(ProcessTreeInEveryMode, AKilledOneIsReplacedAndNobodyInTheQueueIsLost) {
  Tree tree(options_of(GetParam()));
  connected_clients(tree, 1);
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 1; }));
  const std::vector<pid_t> before = tests::children_of(getpid());
  ASSERT_TRUE(tests::stop_all(before));  // nobody accepts
  std::vector<sys::Descriptor> queued;
  for (int i = 0; i < 3; ++i) queued.push_back(tree.connect());
  for (const pid_t pid : before) kill(pid, SIGKILL);
  for (sys::Descriptor& client : queued) {
    ASSERT_TRUE(tests::send_all(client.get(), "x"));
    EXPECT_TRUE(
        tree.until([&] { return tests::readable(client.get(), sys::Deadline::after(0s)); }));
    EXPECT_EQ(tests::receive(client.get(), 1).data, "X");
    client.reset();
  }
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 4 && tree.balances(); }));
  EXPECT_EQ(tree->totals().crashed, 0U);
}

TEST_P(ProcessTreeInEveryMode, StrangersAreReapedAsWell) {
  Tree tree(options_of(GetParam()));
  const pid_t stranger = tests::start_child([] { return 3; });
  EXPECT_TRUE(tree.until([&] { return tests::state_of(stranger) == '-'; }));
  connected_clients(tree, 1);
}

TEST_P(ProcessTreeInEveryMode, KillingAllLeavesNobody) {
  Tree tree(options_of(GetParam()));
  const auto clients = connected_clients(tree, 1);
  tree->kill_all();
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
    tree->reap();
    return tree->empty();
  }));
  EXPECT_TRUE(tests::children_of(getpid()).empty());
  EXPECT_EQ(tree->totals().crashed, 1U);
  EXPECT_TRUE(tree.balances());
}

TEST_P(ProcessTreeInEveryMode, AWorkerThatIsKilledLosesExactlyWhatItHadOpen) {
  Tree tree(options_of(GetParam()));
  connected_clients(tree, 1);
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 1; }));
  const auto clients = connected_clients(tree, GetParam() == Mode::iterative ? 1 : 4);
  const auto victims = tests::descendants_of(getpid());
  for (const pid_t pid : victims) kill(pid, SIGKILL);
  // All of them: one that is about to die would take the next client with it.
  EXPECT_TRUE(tree.until([&] {
    return std::all_of(victims.begin(), victims.end(),
                       [](pid_t pid) { return tests::state_of(pid) == '-'; });
  }));
  EXPECT_TRUE(tree.until([&] { return tree->totals().active() == 0; }));
  EXPECT_EQ(tree->totals().crashed, clients.size());
  EXPECT_EQ(tree->totals().served, 1U);
  EXPECT_TRUE(tree.until([&] { return tree.balances(); }));
  connected_clients(tree, 1);
}

/// One process after the other is killed at random while clients come and go.
TEST_P(ProcessTreeInEveryMode, TheBooksBalanceAfterKillsAtRandom) {
  Tree tree(options_of(GetParam()));
  std::minstd_rand random(7);
  std::vector<sys::Descriptor> clients;
  int connected = 0;  // fewer than the queue holds, whatever happens to those who serve it
  for (int round = 0; connected < 400; ++round) {
    if (random() % 3 != 0 && clients.size() < 12) {
      ++connected;
      clients.push_back(tree.connect());
      tests::send_all(clients.back().get(), "some text");
    } else if (!clients.empty()) {
      clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(random() % clients.size()));
    }
    tree.tick();
    const auto victims = tests::descendants_of(getpid());
    if (round % 20 == 19 && !victims.empty()) kill(victims[random() % victims.size()], SIGKILL);
  }
  clients.clear();
  EXPECT_TRUE(tree.until([&] {
    return tree.balances() && tree->children().busy == 0 && !tree.listener().has_waiting_client();
  }));
  const BookTotals totals = tree->totals();
  EXPECT_EQ(totals.accepted, totals.served + totals.crashed);
}

// --- Fork mode

TEST(ProcessTree, ChildrenOfADeadAcceptorAreAdoptedAndBookedByTheirOwnEnd) {
  Tree tree(options_of(Mode::fork));
  std::vector<sys::Descriptor> clients = connected_clients(tree, 4);
  // A child can answer before its acceptor has booked it.
  EXPECT_TRUE(tree.until([&] { return tree->children().forked == 4; }));
  const pid_t acceptor = tests::children_of(getpid()).at(0);
  const std::vector<pid_t> children = tests::children_of(acceptor);
  ASSERT_EQ(children.size(), 4U);
  kill(acceptor, SIGKILL);
  EXPECT_TRUE(tree.until([&] { return tests::state_of(acceptor) == '-'; }));
  EXPECT_EQ(tree->totals().active(), 4U);
  EXPECT_EQ(tree->children().busy, 4U);
  for (const sys::Descriptor& client : clients)
    EXPECT_EQ(tests::echo(client.get(), "adopted"), "ADOPTED");
  int slots = 0;
  const auto count = [&](const Slot& slot) { slots += slot.state.load() == SlotState::serving; };
  EXPECT_EQ(tree->visit_slots(100, count), 0U);
  EXPECT_EQ(slots, 4);
  EXPECT_EQ(tree->visit_slots(3, count), 1U);
  EXPECT_EQ(slots, 4 + 3);

  kill(children[0], SIGKILL);
  EXPECT_TRUE(tree.until([&] { return tree->totals().crashed == 1; }));
  EXPECT_EQ(tree->totals().active(), 3U);
  clients.clear();
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 3; }));
  EXPECT_TRUE(tree.balances());
  EXPECT_EQ(tree->totals().crashed, 1U);
  EXPECT_EQ(tree->children().forked, 4U);
  EXPECT_EQ(tree->children().reaped, 4U);
  // Of the killed child the slot was known as well: not one byte is missing.
  EXPECT_EQ(tree->totals().bytes_in, 4U * 12);
}

TEST(ProcessTree, OrphansOfSeveralAcceptorsAreToldApart) {
  Tree tree(options_of(Mode::fork));
  std::vector<sys::Descriptor> clients;
  for (int generation = 1; generation <= 3; ++generation) {
    for (auto& client : connected_clients(tree, 2)) clients.push_back(std::move(client));
    pid_t acceptor = 0;
    for (const pid_t pid : tests::children_of(getpid())) {
      if (tests::status_of(pid).group == pid) acceptor = pid;
    }
    kill(acceptor, SIGKILL);
    EXPECT_TRUE(tree.until([&] { return tests::state_of(acceptor) == '-'; }));
  }
  EXPECT_EQ(tree->totals().active(), 6U);
  clients.clear();
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 6; }));
  EXPECT_TRUE(tree.balances());
}

TEST(ProcessTree, OrphansAreToldToFinish) {
  Tree tree(options_of(Mode::fork));
  std::vector<sys::Descriptor> clients = connected_clients(tree, 2);
  const pid_t acceptor = tests::children_of(getpid()).at(0);
  kill(acceptor, SIGKILL);
  EXPECT_TRUE(tree.until([&] { return tests::state_of(acceptor) == '-'; }));
  tree->tell(SIGUSR2, SIGTERM);
  for (sys::Descriptor& client : clients) {
    EXPECT_EQ(tests::receive_to_end(client.get()), "");
    client.reset();
  }
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
    tree->tell(SIGUSR2, SIGTERM);
    tree->reap();
    return tree->totals().timed_out[4] == 2 && tree->empty();
  }));
}

TEST(ProcessTree, AnAcceptorThatKeepsDyingIsNotStartedWithoutAPause) {
  Tree tree(options_of(Mode::fork));
  int deaths = 0;
  for (; deaths < 20; ++deaths) {
    tree.tick();
    const auto alive = tests::children_of(getpid());
    if (alive.empty()) break;
    kill(alive.at(0), SIGKILL);
    EXPECT_TRUE(
        tests::eventually(tests::patience(), [&] { return tests::state_of(alive.at(0)) == 'Z'; }));
  }
  EXPECT_EQ(deaths, 4);  // the first, and three that were forgiven
  EXPECT_TRUE(tree->is_busy());
  EXPECT_TRUE(tree.until([&] { return !tests::children_of(getpid()).empty(); }));
  connected_clients(tree, 1);
}

// --- The pool

TEST(ProcessTree, ThePoolStartsAtItsSize) {
  Tree tree(options_of(Mode::pool));
  EXPECT_EQ(tests::children_of(getpid()).size(), 3U);
  EXPECT_TRUE(tree.until([&] { return tree->children().idle == 3; }));
  EXPECT_EQ(tree->children().forked, 3U);
}

TEST(ProcessTree, ThePoolGrowsWithItsClientsAndShrinksAfterThem) {
  Tree tree(options_of(Mode::pool));
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 15; ++i) {
    clients.push_back(tree.connect());
    ASSERT_TRUE(tests::send_all(clients.back().get(), "x"));
    EXPECT_TRUE(tree.until(
        [&] { return tests::readable(clients.back().get(), sys::Deadline::after(0s)); }));
  }
  EXPECT_EQ(tree->children().busy, 15U);
  EXPECT_TRUE(tree.until([&] { return tree->children().idle >= 2; }));
  EXPECT_LE(tests::children_of(getpid()).size(), 20U);
  clients.clear();
  EXPECT_TRUE(tree.until([&] { return tests::children_of(getpid()).size() == 4; }));  // max_spare
  EXPECT_TRUE(tree.until([&] { return tree.balances(); }));
  EXPECT_EQ(tree->totals().served, 15U);
  EXPECT_EQ(tree->totals().crashed, 0U);
  EXPECT_FALSE(tree->is_busy());
}

TEST(ProcessTree, ThePoolNeverOutgrowsItsMost) {
  Options options = options_of(Mode::pool);
  options.max_connections = 5;  // less than --pool-max
  Tree tree(options);
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(tree.connect());
    ASSERT_TRUE(tests::send_all(clients.back().get(), "x"));
  }
  EXPECT_TRUE(tree.until([&] { return tree->children().busy == 5; }));
  for (int i = 0; i < 20; ++i) tree.tick();
  EXPECT_EQ(tests::children_of(getpid()).size(), 5U);
  EXPECT_EQ(tree->totals().accepted, 5U);
  clients.clear();
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 8; }));
}

TEST(ProcessTree, AFullPoolMayRefuse) {
  Options options = options_of(Mode::pool);
  options.max_connections = 3;
  options.when_full = WhenFull::refuse;
  Tree tree(options);
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(tree.connect());
    ASSERT_TRUE(tests::send_all(clients.back().get(), "x"));
    EXPECT_TRUE(tree.until(
        [&] { return tests::readable(clients.back().get(), sys::Deadline::after(0s)); }));
  }
  sys::Descriptor refused = tree.connect();
  EXPECT_TRUE(tree.until([&] { return tests::readable(refused.get(), sys::Deadline::after(0s)); }));
  EXPECT_EQ(tests::receive_to_end(refused.get()), "");
  refused.reset();
  EXPECT_TRUE(tree.until([&] { return tree->totals().refused[0] == 1; }));
  for (const sys::Descriptor& client : clients) EXPECT_EQ(tests::echo(client.get(), "x"), "X");
}

TEST(ProcessTree, ThereAreAsManyAcceptorsAsAskedForAndADeadOneIsReplaced) {
  Options options = options_of(Mode::fork);
  options.acceptors = 3;
  Tree tree(options);
  EXPECT_TRUE(tree.until([&] { return tree->acceptors().size() == 3; }));
  connected_clients(tree, 1);
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 1; }));
  for (std::size_t i = 0; i < 3; ++i) {
    const pid_t victim = tree->acceptors().at(i).pid;
    kill(victim, SIGKILL);
    EXPECT_TRUE(tree.until([&] {
      const auto now = tree->acceptors();
      return now.size() == 3 && now.at(i).pid != victim;
    }));
    EXPECT_EQ(tree->acceptors().at(i).number, i + 1);
    connected_clients(tree, 1);
  }
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 4 && tree.balances(); }));
}

/// With clients that are adopted, and that were forked for by different acceptors.
TEST(ProcessTree, TheLimitHoldsOverAllAcceptorsAndWhoTheyLeft) {
  Options options = options_of(Mode::fork);
  options.acceptors = 4;
  options.max_connections = 5;
  Tree tree(options);
  std::vector<sys::Descriptor> clients = connected_clients(tree, 3);
  for (const AcceptorView& acceptor : tree->acceptors()) kill(acceptor.pid, SIGKILL);
  for (int i = 0; i < 6; ++i) {
    clients.push_back(tree.connect());
    ASSERT_TRUE(tests::send_all(clients.back().get(), "x"));
  }
  EXPECT_TRUE(tree.until([&] { return tree->totals().active() == 5; }));
  const auto end = sys::Deadline::after(100ms);
  while (!end.passed()) {
    tree.tick();
    ASSERT_LE(tree->totals().active(), 5U);
  }
  std::uint64_t theirs = 0;
  for (const AcceptorView& acceptor : tree->acceptors()) theirs += acceptor.active;
  EXPECT_EQ(theirs, 2U) << "and three are adopted";
  clients.clear();
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 9 && tree.balances(); }));
}

TEST(ProcessTree, WorkersOfASingleUseAreReplacedForEachConnection) {
  Options options = options_of(Mode::pool);
  options.connections_per_worker_life = 1;
  Tree tree(options);
  for (int i = 0; i < 20; ++i) {
    const sys::Descriptor client = tree.connect();
    ASSERT_TRUE(tests::send_all(client.get(), "x"));
    ASSERT_TRUE(
        tree.until([&] { return tests::readable(client.get(), sys::Deadline::after(0s)); }));
  }
  EXPECT_TRUE(tree.until([&] { return tree->children().reaped == 20 && tree.balances(); }));
  EXPECT_EQ(tree->totals().served, 20U);
}

// --- The drain

TEST_P(ProcessTreeInEveryMode, DrainingTheQueueIsServedAlsoWhereTheServerDies) {
  Tree tree(options_of(GetParam()));
  connected_clients(tree, 1);
  EXPECT_TRUE(tree.until([&] { return tree->totals().served == 1; }));
  ASSERT_TRUE(tests::stop_all(tests::children_of(getpid())));
  std::vector<sys::Descriptor> queued;
  for (int i = 0; i < 3; ++i) {
    queued.push_back(tree.connect());
    ASSERT_TRUE(tests::send_all(queued.back().get(), "x"));
    tests::end_sending(queued.back().get());
  }
  tree.listener().begin_drain();
  tree.listener().set_nonblocking();
  for (const pid_t pid : tests::children_of(getpid())) kill(pid, SIGKILL);
  const auto drain_tick = [&] {
    tree->reap();
    tree->tell(SIGTERM, 0);
    tree->maintain_drain();
  };
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
    drain_tick();
    return tree->empty() && !tree.listener().has_waiting_client();
  }));
  for (const sys::Descriptor& client : queued) EXPECT_EQ(tests::receive_to_end(client.get()), "X");
  EXPECT_EQ(tree->totals().served, 4U);
  EXPECT_TRUE(tree.balances());
}

}  // namespace
}  // namespace forkecho::server
