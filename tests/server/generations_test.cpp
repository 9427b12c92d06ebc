#include "server/generations.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "common/mp/reap.h"
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
  options.max_connections = 100;
  options.pool = {.start = 3, .min_spare = 2, .max_spare = 4, .max = 20};
  return options;
}

/// Generations with the test as their supervisor.
class Daemon {
 public:
  explicit Daemon(Options options) : options_(std::move(options)) {
    listeners_.push_back(Listener::open(tests::address_of("127.0.0.1:0"), 512));
    if (options_.mode == Mode::fork || options_.mode == Mode::event)
      listeners_[0].set_nonblocking();
    generations_.emplace(std::make_shared<const Options>(options_), listeners_);
    generations_->start();
  }
  ~Daemon() {
    if (generations_->is_replacing()) generations_->give_up_replacing();
    EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
      generations_->kill_all();
      take_in_the_dead();
      return generations_->empty();
    }));
    EXPECT_TRUE(tests::children_of(getpid()).empty());
  }

  Generations* operator->() { return &*generations_; }
  Options& options() { return options_; }
  sys::Descriptor connect() const { return tests::connect_to(listeners_[0].address()); }
  const Listener& listener() const { return listeners_[0]; }
  void tick() {
    take_in_the_dead();
    generations_->maintain();
  }
  template <typename Predicate>
  bool until(Predicate predicate) {
    return tests::eventually(tests::patience(), [&] {
      tick();
      return predicate();
    });
  }
  void begin_to_replace() {
    outcome_.reset();
    generations_->replace(std::make_shared<const Options>(options_),
                          [this](const std::string& error) { outcome_ = error; });
  }
  const std::optional<std::string>& outcome() const { return outcome_; }
  /// Replaces the current generation; how that came out.
  std::string replace() {
    begin_to_replace();
    EXPECT_TRUE(until([&] { return outcome_.has_value(); }));
    return outcome_.value_or("nothing came");
  }
  bool balances() const {
    const BookTotals totals = generations_->totals();
    const ChildCounts children = generations_->children();
    return totals.accepted == totals.ended() &&
           children.forked == children.reaped + children.idle + children.busy;
  }
  /// A client that was served, and stays.
  sys::Descriptor served_client() {
    sys::Descriptor client = connect();
    EXPECT_EQ(ask(client), "HELLO");
    return client;
  }
  std::string ask(const sys::Descriptor& client) {
    EXPECT_TRUE(tests::send_all(client.get(), "hello"));
    EXPECT_TRUE(until([&] { return is_answered(client); }));
    return tests::receive(client.get(), 5).data;
  }
  static bool is_answered(const sys::Descriptor& client) {
    return tests::readable(client.get(), sys::Deadline::after(0s));
  }

 private:
  void take_in_the_dead() {
    while (const auto ended = mp::peek_ended()) {
      if (!generations_->take_ended(ended->pid)) mp::reap_one(ended->pid);
    }
  }

  const tests::AdoptOrphans adopt_;
  Options options_;
  std::vector<Listener> listeners_;
  std::optional<Generations> generations_;
  std::optional<std::string> outcome_;
};

class GenerationsInEveryMode : public testing::TestWithParam<Mode> {};
INSTANTIATE_TEST_SUITE_P(Modes, GenerationsInEveryMode,
                         testing::Values(Mode::iterative, Mode::fork, Mode::pool, Mode::event),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST_P(GenerationsInEveryMode, TheFirstIsCurrentAndServes) {
  Daemon daemon(options_of(GetParam()));
  daemon.served_client();
  const auto views = daemon->views();
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].number, 1U);
  EXPECT_FALSE(views[0].draining);
  EXPECT_TRUE(daemon.until([&] { return daemon.balances(); }));
}

TEST_P(GenerationsInEveryMode, TheOldOneServesItsConnectionsToTheirEndByItsOwnOptions) {
  Daemon daemon(options_of(GetParam()));
  sys::Descriptor old = daemon.served_client();
  daemon.options().transform = Transform::none;
  EXPECT_EQ(daemon.replace(), "");
  ASSERT_EQ(daemon->views().size(), 2U);
  EXPECT_EQ(daemon->views()[0].number, 2U);
  EXPECT_FALSE(daemon->views()[0].draining);
  EXPECT_EQ(daemon->views()[1].number, 1U);
  EXPECT_TRUE(daemon->views()[1].draining);
  EXPECT_TRUE(daemon.until([&] { return daemon->views()[1].active == 1; }));
  EXPECT_EQ(daemon.ask(old), "HELLO");
  if (GetParam() != Mode::iterative) {
    EXPECT_EQ(daemon.ask(daemon.connect()), "hello");
  }
  EXPECT_EQ(daemon.ask(old), "HELLO");
  old.reset();
  EXPECT_TRUE(daemon.until([&] { return daemon->views().size() == 1; }));
  EXPECT_EQ(daemon.ask(daemon.connect()), "hello");
  EXPECT_TRUE(daemon.until([&] { return daemon.balances(); }));
  const std::uint64_t all = GetParam() == Mode::iterative ? 2 : 3;
  EXPECT_EQ(daemon->totals().accepted, all);
  EXPECT_EQ(daemon->totals().served, all);
  EXPECT_EQ(daemon->totals().bytes_in, 5 * (all + 2));
}

TEST_P(GenerationsInEveryMode, OnceTheOutcomeIsToldOnlyTheNewOneAccepts) {
  Daemon daemon(options_of(GetParam()));
  for (int round = 0; round < 10; ++round) {
    const bool capitals = round % 2 == 0;
    daemon.options().transform = capitals ? Transform::ascii : Transform::none;
    ASSERT_EQ(daemon.replace(), "");
    EXPECT_EQ(daemon.ask(daemon.connect()), capitals ? "HELLO" : "hello") << round;
  }
  EXPECT_TRUE(daemon.until([&] { return daemon->views().size() == 1; }));
  EXPECT_EQ(daemon->number(), 11U);
  EXPECT_TRUE(daemon.until([&] { return daemon.balances(); }));
  EXPECT_EQ(daemon->totals().served, 10U);
}

TEST_P(GenerationsInEveryMode, WhatAnOldOneLosesIsBookedAndNotReplaced) {
  Daemon daemon(options_of(GetParam()));
  const sys::Descriptor old = daemon.served_client();
  const auto victims = tests::descendants_of(getpid());
  EXPECT_EQ(daemon.replace(), "");
  for (const pid_t pid : victims) kill(pid, SIGKILL);
  EXPECT_TRUE(daemon.until([&] { return daemon->views().size() == 1; }));
  EXPECT_TRUE(daemon.until([&] { return daemon->totals().crashed == 1 && daemon.balances(); }));
  daemon.served_client();
}

TEST_P(GenerationsInEveryMode, AllAreToldToFinishAndToEnd) {
  Daemon daemon(options_of(GetParam()));
  sys::Descriptor first = daemon.served_client();
  EXPECT_EQ(daemon.replace(), "");
  sys::Descriptor second;
  if (GetParam() != Mode::iterative) second = daemon.served_client();
  daemon.listener().begin_drain();
  daemon.listener().set_nonblocking();
  EXPECT_TRUE(daemon.until([&] {
    daemon->tell(SIGTERM, 0);
    daemon->tell(SIGUSR2, SIGTERM);
    return tests::readable(first.get(), sys::Deadline::after(0s));
  }));
  EXPECT_EQ(tests::receive_to_end(first.get()), "");
  first.reset();
  if (second) {
    EXPECT_EQ(tests::receive_to_end(second.get()), "");
    second.reset();
  }
  const std::uint64_t all = GetParam() == Mode::iterative ? 1 : 2;
  EXPECT_TRUE(daemon.until([&] { return daemon->totals().timed_out[4] == all; }));
}

/// The limit counts over generations.
TEST_P(GenerationsInEveryMode, TheHardMaximumHoldsOverAll) {
  Options options = options_of(GetParam());
  options.max_connections = GetParam() == Mode::iterative ? 1 : 4;
  if (GetParam() == Mode::event) options.max_connections *= 2;  // each worker has its part
  const std::size_t most = options.max_connections;
  Daemon daemon(options);
  std::vector<sys::Descriptor> clients;
  while (clients.size() < most) {
    clients.push_back(daemon.served_client());
    if (GetParam() != Mode::iterative) {
      EXPECT_EQ(daemon.replace(), "");
    }
  }
  EXPECT_EQ(daemon.replace(), "");
  std::vector<sys::Descriptor> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(daemon.connect());
    EXPECT_TRUE(tests::send_all(waiting.back().get(), "hello"));
  }
  const auto end = sys::Deadline::after(100ms);
  while (!end.passed()) {
    daemon.tick();
    EXPECT_LE(daemon->totals().active(), most);
  }
  EXPECT_FALSE(Daemon::is_answered(waiting[0]) || Daemon::is_answered(waiting[1]));
  clients.pop_back();
  EXPECT_TRUE(daemon.until(
      [&] { return Daemon::is_answered(waiting[0]) || Daemon::is_answered(waiting[1]); }));
  EXPECT_LE(daemon->totals().active(), most);
  clients.clear();
  if (!Daemon::is_answered(waiting[0])) std::swap(waiting[0], waiting[1]);
  waiting[0].reset();
  EXPECT_TRUE(daemon.until([&] { return Daemon::is_answered(waiting[1]); }));
}

TEST_P(GenerationsInEveryMode, OneThatTheSystemHasNoRoomForChangesNothing) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's own allocator ends the process where there is no memory";
#endif
  Daemon daemon(options_of(GetParam()));
  const sys::Descriptor old = daemon.served_client();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit none{.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
  daemon.begin_to_replace();
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  ASSERT_TRUE(daemon.outcome());
  EXPECT_NE(*daemon.outcome(), "");
  EXPECT_EQ(daemon->views().size(), 1U);
  EXPECT_EQ(daemon->number(), 1U);
  EXPECT_EQ(daemon.ask(old), "HELLO");
  EXPECT_EQ(daemon.replace(), "");
}

TEST(Generations, OneWhoseProcessesDieBeforeTheyAreReadyChangesNothing) {
  bool seen = false;
  for (int round = 0; round < 200 && !seen; ++round) {
    Daemon daemon(options_of(Mode::fork));
    const sys::Descriptor old = daemon.served_client();
    const pid_t acceptor = tests::children_of(getpid()).at(0);
    daemon.begin_to_replace();
    for (const pid_t pid : tests::children_of(getpid())) {
      if (pid != acceptor) kill(pid, SIGKILL);
    }
    EXPECT_TRUE(daemon.until([&] { return daemon.outcome().has_value(); }));
    if (*daemon.outcome() == "") continue;  // it was faster
    seen = true;
    EXPECT_TRUE(daemon.until([&] { return daemon->views().size() == 1; }));
    EXPECT_EQ(daemon->number(), 1U);
    EXPECT_EQ(daemon.ask(old), "HELLO");
    daemon.served_client();
  }
  EXPECT_TRUE(seen);
}

TEST_P(GenerationsInEveryMode, GivingUpEndsItAtOnceForBetterOrWorse) {
  for (int round = 0; round < 3; ++round) {
    Daemon daemon(options_of(GetParam()));
    daemon.served_client();
    daemon.begin_to_replace();
    for (int i = 0; i < round; ++i) daemon.tick();
    daemon->give_up_replacing();
    EXPECT_FALSE(daemon->is_replacing());
    ASSERT_TRUE(daemon.outcome());
    daemon.served_client();
    EXPECT_TRUE(daemon.until([&] { return daemon->views().size() == 1; }));
    EXPECT_EQ(daemon->number(), *daemon.outcome() == "" ? 2U : 1U);
  }
}

TEST(Generations, AdoptedChildrenOfAnOldAcceptorCountAndAreServed) {
  Options options = options_of(Mode::fork);
  options.max_connections = 3;
  Daemon daemon(options);
  sys::Descriptor first = daemon.served_client();
  const sys::Descriptor second = daemon.served_client();
  EXPECT_TRUE(daemon.until([&] { return daemon->children().forked == 2; }));
  const pid_t acceptor = tests::children_of(getpid()).at(0);
  kill(acceptor, SIGKILL);
  EXPECT_TRUE(daemon.until([&] { return tests::state_of(acceptor) == '-'; }));
  EXPECT_EQ(daemon.replace(), "");
  EXPECT_EQ(daemon->totals().active(), 2U);
  const sys::Descriptor third = daemon.served_client();
  const sys::Descriptor fourth = daemon.connect();
  EXPECT_TRUE(tests::send_all(fourth.get(), "hello"));
  const auto end = sys::Deadline::after(50ms);
  while (!end.passed()) daemon.tick();
  EXPECT_FALSE(Daemon::is_answered(fourth));
  EXPECT_EQ(daemon.ask(first), "HELLO");
  first.reset();
  EXPECT_TRUE(daemon.until([&] { return Daemon::is_answered(fourth); }));
}

TEST(Generations, OneThatDoesNotHearIsNotWaitedForForEver) {
  Daemon daemon(options_of(Mode::fork));
  daemon.served_client();
  const auto old = tests::children_of(getpid());
  ASSERT_TRUE(tests::stop_all(old));
  daemon.begin_to_replace();
  EXPECT_TRUE(daemon.until([&] { return daemon->views().size() == 2; }));
  // The new one does not accept while the old one might: the limit would not hold.
  const sys::Descriptor waiting = daemon.connect();
  EXPECT_TRUE(tests::send_all(waiting.get(), "hello"));
  const auto end = sys::Deadline::after(200ms);
  while (!end.passed() && !daemon.outcome()) daemon.tick();
  EXPECT_FALSE(!daemon.outcome() && Daemon::is_answered(waiting));
  EXPECT_TRUE(daemon.until([&] { return daemon.outcome() == ""; }));
  EXPECT_TRUE(daemon.until([&] { return Daemon::is_answered(waiting); }));
  daemon.served_client();
  for (const pid_t pid : old) kill(pid, SIGCONT);
  EXPECT_TRUE(daemon.until([&] { return daemon->views().size() == 1; }));
}

}  // namespace
}  // namespace forkecho::server
