#include "server/accept_wait.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <set>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using Acceptors = AcceptWait::Acceptors;

std::vector<Listener> one_listener() {
  std::vector<Listener> listeners;
  listeners.push_back(Listener::open(tests::address_of("127.0.0.1:0"), 64));
  listeners.front().set_nonblocking();
  return listeners;
}

bool sleeps(pid_t pid) {
  return tests::state_of(pid) == 'S';
}

/// Children that wait for clients as acceptors do, accept nobody, and each say when they have heard
/// of one.
class Waiters {
 public:
  explicit Waiters(std::span<const Listener> listeners) : listeners_(listeners) {}
  Waiters(const Waiters&) = delete;
  Waiters& operator=(const Waiters&) = delete;
  ~Waiters() {
    for (const pid_t pid : pids_) kill(pid, SIGKILL);
    for (const pid_t pid : pids_) tests::exitcode_of(pid);
  }
  /// Returns once it waits.
  void add() {
    const char name = static_cast<char>('a' + pids_.size());
    pids_.push_back(tests::start_child([&, name] {
      AcceptWait wait(listeners_, silence_.read.get(), -1, Acceptors::several);
      while (!wait.wait(true, sys::Deadline::never()).clients) {
      }
      if (write(heard_.write.get(), &name, 1) != 1) return 1;
      pause();
      return 0;
    }));
    ASSERT_TRUE(tests::eventually(tests::patience(), [this] { return sleeps(pids_.back()); }));
  }
  /// Who has heard next; 0: nobody by the deadline.
  char next(sys::Deadline deadline = tests::patience()) {
    char name = 0;
    if (!tests::readable(heard_.read.get(), deadline)) return 0;
    return read(heard_.read.get(), &name, 1) == 1 ? name : '\0';
  }

 private:
  std::span<const Listener> listeners_;
  tests::Pipe silence_;
  tests::Pipe heard_;
  std::vector<pid_t> pids_;
};

TEST(AcceptWait, HearsSignalsClientsAndWhatElseItWasGiven) {
  for (const Acceptors acceptors : {Acceptors::one, Acceptors::several}) {
    const std::vector<Listener> listeners = one_listener();
    const tests::Pipe signals;
    const tests::Pipe more;
    AcceptWait wait(listeners, signals.read.get(), more.read.get(), acceptors);
    AcceptWait::Heard heard = wait.wait(true, sys::Deadline::immediately());
    EXPECT_FALSE(heard.signals || heard.clients || heard.nothing_asked);
    ASSERT_EQ(write(more.write.get(), "x", 1), 1);
    heard = wait.wait(true, tests::patience());
    EXPECT_FALSE(heard.signals || heard.clients);
    const sys::Descriptor client = tests::connect_to(listeners[0].address());
    heard = wait.wait(true, tests::patience());
    EXPECT_TRUE(heard.clients);
    EXPECT_FALSE(heard.signals);
    ASSERT_EQ(write(signals.write.get(), "x", 1), 1);
    heard = wait.wait(true, tests::patience());
    EXPECT_TRUE(heard.clients && heard.signals);
    heard = wait.wait(false, tests::patience());
    EXPECT_TRUE(heard.signals);
    EXPECT_FALSE(heard.clients) << "nobody asked for them";
  }
}

TEST(AcceptWait, OfSeveralOneIsWokenForEachClient) {
  const std::vector<Listener> listeners = one_listener();
  Waiters waiters(listeners);
  for (int i = 0; i < 3; ++i) waiters.add();
  std::set<char> woken;
  std::vector<sys::Descriptor> clients;
  for (std::size_t i = 1; i <= 3; ++i) {
    clients.push_back(tests::connect_to(listeners[0].address()));
    woken.insert(waiters.next());
    EXPECT_EQ(woken.size(), i);
    // The others go on sleeping, until they look for themselves.
    if (i < 3) {
      EXPECT_EQ(waiters.next(sys::Deadline::after(50ms)), 0);
    }
  }
}

TEST(AcceptWait, WhoBeginsToWaitLooksFirst) {
  const std::vector<Listener> listeners = one_listener();
  Waiters waiters(listeners);
  waiters.add();
  const tests::Pipe silence;
  AcceptWait wait(listeners, silence.read.get(), -1, Acceptors::several);
  EXPECT_FALSE(wait.wait(true, sys::Deadline::immediately()).clients);
  EXPECT_FALSE(wait.wait(false, sys::Deadline::immediately()).clients);
  const sys::Descriptor client = tests::connect_to(listeners[0].address());
  ASSERT_EQ(waiters.next(), 'a') << "it was the first to register";
  EXPECT_TRUE(wait.wait(true, sys::Deadline::after(AcceptWait::unheard / 2)).clients);
}

/// Whom the first was woken for, and did not take.
TEST(AcceptWait, AClientThatNobodyWasToldOfIsHeardAfterAWhile) {
  const std::vector<Listener> listeners = one_listener();
  Waiters waiters(listeners);
  waiters.add();
  waiters.add();
  const sys::Descriptor client = tests::connect_to(listeners[0].address());
  const std::set<char> both{waiters.next(), waiters.next()};
  EXPECT_EQ(both, (std::set<char>{'a', 'b'}));
}

/// Nor does it depend on whether something else is heard meanwhile.
TEST(AcceptWait, WhoHearsSignalsAgainAndAgainLooksAllTheSame) {
  const std::vector<Listener> listeners = one_listener();
  Waiters waiters(listeners);
  waiters.add();
  const tests::Pipe signals;
  ASSERT_EQ(write(signals.write.get(), "x", 1), 1);
  AcceptWait wait(listeners, signals.read.get(), -1, Acceptors::several);
  EXPECT_TRUE(wait.wait(true, tests::patience()).signals);
  const sys::Descriptor client = tests::connect_to(listeners[0].address());
  ASSERT_EQ(waiters.next(), 'a') << "it was the first to register";
  EXPECT_TRUE(tests::eventually(tests::patience(),
                                [&] { return wait.wait(true, tests::patience()).clients; }));
}

TEST(AcceptWait, SaysSoWhenTheSystemTellsNothing) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              const std::vector<Listener> listeners = one_listener();
              const tests::Pipe signals;
              AcceptWait wait(listeners, signals.read.get(), -1, Acceptors::several);
              const rlimit none{.rlim_cur = 0, .rlim_max = 0};
              if (setrlimit(RLIMIT_NOFILE, &none) != 0) return 2;
              return wait.wait(true, sys::Deadline::immediately()).nothing_asked ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace forkecho::server
