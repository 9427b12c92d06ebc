#include "server/acceptor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <vector>

#include "tests/server/serving_process.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using testing::StartsWith;

class AcceptorProcess : public ServingProcess {
 public:
  explicit AcceptorProcess(std::uint32_t limit = 100, Options options = {},
                           const std::vector<std::string>& addresses = {"127.0.0.1:0"})
      : AcceptorProcess(std::make_shared<SlotTable>(limit), std::move(options), addresses) {}

  SlotTable& slots() { return *slots_; }
  std::vector<pid_t> children() { return tests::children_of(pid()); }
  std::size_t slots_in_use() {
    return static_cast<std::size_t>(
        std::count_if(slots().all().begin(), slots().all().end(),
                      [](const Slot& slot) { return slot.state.load() != SlotState::free; }));
  }

 private:
  AcceptorProcess(std::shared_ptr<SlotTable> slots, Options options,
                  const std::vector<std::string>& addresses)
      : ServingProcess(
            std::move(options), Blocking::no,
            [slots](const ProcessContext& context) { run_acceptor(context, *slots); }, addresses),
        slots_(slots) {}
  std::shared_ptr<SlotTable> slots_;
};

TEST(Acceptor, EachConnectionHasAChildOfItsOwnThatIsReaped) {
  AcceptorProcess acceptor;
  sys::Descriptor first = acceptor.connect();
  sys::Descriptor second = acceptor.connect();
  EXPECT_EQ(tests::echo(first.get(), "one"), "ONE");
  EXPECT_EQ(tests::echo(second.get(), "two"), "TWO");
  EXPECT_EQ(acceptor.children().size(), 2U);
  EXPECT_EQ(acceptor.slots_in_use(), 2U);
  EXPECT_EQ(acceptor.book().active(), 2U);
  first.reset();
  second.reset();
  EXPECT_TRUE(eventually([&] { return acceptor.book().served == 2; }));
  EXPECT_EQ(acceptor.children().size(), 0U);
  EXPECT_EQ(acceptor.slots_in_use(), 0U);
  const BookTotals book = acceptor.book();
  EXPECT_EQ(book.accepted, 2U);
  EXPECT_EQ(book.forked, 2U);
  EXPECT_EQ(book.reaped, 2U);
  EXPECT_EQ(book.bytes_in, 6U);
  EXPECT_EQ(book.bytes_out, 6U);
}

TEST(Acceptor, AChildShowsWhomItServes) {
  AcceptorProcess acceptor;
  const sys::Descriptor client = acceptor.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  const std::string name = sys::SocketAddress::local(client.get()).to_string();
  const pid_t child = acceptor.children().at(0);
  EXPECT_EQ(tests::title_of(child), "forkechod: serving " + name);
  EXPECT_THAT(tests::title_of(acceptor.pid()), StartsWith("forkechod: acceptor"));
  const Slot& slot = acceptor.slots()[0];
  EXPECT_EQ(slot.peer.to_string(), name);
  EXPECT_EQ(slot.pid.load(), child);
  EXPECT_EQ(slot.state.load(), SlotState::serving);
  EXPECT_EQ(slot.meter.bytes_in.get(), 1U);
}

TEST(Acceptor, AChildHoldsItsConnectionAndNoListener) {
  AcceptorProcess acceptor;
  const sys::Descriptor client = acceptor.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  // The standard ones, the listener and the signals; its copy of the connection is closed.
  EXPECT_TRUE(
      eventually([&] { return tests::descriptors_of(acceptor.pid()).size() == 3 + 1 + 1; }));
  int sockets = 0;
  for (const auto& [fd, what] : tests::descriptors_of(acceptor.children().at(0)))
    sockets += what.starts_with("socket");
  EXPECT_EQ(sockets, 1);
}

TEST(Acceptor, ServesSeveralListeners) {
  const tests::TempDir directory;
  AcceptorProcess acceptor(10, {}, {"127.0.0.1:0", "[::1]:0", "unix:" + directory.path("s")});
  for (std::size_t i = 0; i < 3; ++i) {
    const sys::Descriptor client = acceptor.connect(i);
    EXPECT_EQ(tests::echo(client.get(), "x"), "X") << i;
  }
}

TEST(Acceptor, AKilledChildIsBookedAsCrashed) {
  AcceptorProcess acceptor;
  const sys::Descriptor killed = acceptor.connect();
  EXPECT_EQ(tests::echo(killed.get(), "x"), "X");
  const pid_t victim = acceptor.children().at(0);
  const sys::Descriptor spared = acceptor.connect();
  EXPECT_EQ(tests::echo(spared.get(), "x"), "X");
  kill(victim, SIGKILL);
  EXPECT_TRUE(eventually([&] { return acceptor.book().crashed == 1; }));
  EXPECT_EQ(acceptor.book().active(), 1U);
  EXPECT_EQ(tests::echo(spared.get(), "still here"), "STILL HERE");
}

TEST(Acceptor, ATimeoutIsBookedAsSuch) {
  Options options;
  options.timeouts.idle = 30ms;
  AcceptorProcess acceptor(10, options);
  sys::Descriptor client = acceptor.connect();
  EXPECT_EQ(tests::receive_to_end(client.get()), "");
  client.reset();
  EXPECT_TRUE(eventually([&] { return acceptor.book().timed_out[1] == 1; }));
}

TEST(Acceptor, WhenFullClientsWaitInTheQueue) {
  AcceptorProcess acceptor(1);
  sys::Descriptor first = acceptor.connect();
  EXPECT_EQ(tests::echo(first.get(), "x"), "X");
  const sys::Descriptor second = acceptor.connect();
  ASSERT_TRUE(tests::send_all(second.get(), "y"));
  EXPECT_TRUE(acceptor.listener().has_waiting_client());
  EXPECT_EQ(acceptor.book().accepted, 1U);
  first.reset();
  EXPECT_EQ(tests::receive(second.get(), 1).data, "Y");
}

TEST(Acceptor, WhenFullItMayRefuse) {
  Options options;
  options.when_full = WhenFull::refuse;
  AcceptorProcess acceptor(1, options);
  sys::Descriptor first = acceptor.connect();
  EXPECT_EQ(tests::echo(first.get(), "x"), "X");
  const sys::Descriptor refused = acceptor.connect();
  EXPECT_EQ(tests::receive_to_end(refused.get()), "");
  EXPECT_TRUE(eventually([&] { return acceptor.book().refused[0] == 1; }));
  EXPECT_EQ(acceptor.book().accepted, 2U);
  first.reset();
  EXPECT_TRUE(eventually([&] { return acceptor.book().active() == 0; }));
  const sys::Descriptor third = acceptor.connect();
  EXPECT_EQ(tests::echo(third.get(), "x"), "X");
}

TEST(Acceptor, AForkThatFailsCostsOneClientAndNobodyElse) {
  if (geteuid() != 0) GTEST_SKIP() << "needs another user, whose processes can be limited";
  auto slots = std::make_shared<SlotTable>(10);
  ServingProcess acceptor({}, Blocking::no, [slots](const ProcessContext& context) {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || setuid(65533) != 0) mp::leave(3);
    run_acceptor(context, *slots);
  });
  const sys::Descriptor client = acceptor.connect();
  const std::string end = tests::receive_to_end(client.get());
  if (acceptor.exitcode(0, sys::Deadline::after(0s)) == mp::orphaned)
    GTEST_SKIP() << "no way to become another user here";
  EXPECT_EQ(end, "");
  EXPECT_TRUE(eventually([&] { return acceptor.book().fork_failed == 1; }));
  EXPECT_EQ(acceptor.book().active(), 0U);
  EXPECT_TRUE(eventually([&] { return tests::state_of(acceptor.pid()) == 'S'; }));
  const sys::Descriptor later = acceptor.connect();
  EXPECT_EQ(tests::receive_to_end(later.get()), "");
  EXPECT_TRUE(eventually([&] { return acceptor.book().fork_failed == 2; }));
}

// --- The drain

TEST(Acceptor, DrainingItServesItsQueueAndEndsWithItsLastChild) {
  AcceptorProcess acceptor(1);
  sys::Descriptor open = acceptor.connect();
  EXPECT_EQ(tests::echo(open.get(), "x"), "X");
  sys::Descriptor queued = acceptor.connect();
  acceptor.drain();
  EXPECT_EQ(tests::echo(open.get(), "still"), "STILL");
  open.reset();
  EXPECT_EQ(tests::echo(queued.get(), "queued"), "QUEUED");
  queued.reset();
  EXPECT_EQ(acceptor.exitcode(SIGTERM), planned_end);
  EXPECT_EQ(acceptor.book().served, 2U);
  EXPECT_EQ(acceptor.book().active(), 0U);
}

/// A handshake that was under way when the door was shut comes to its end a little later.
TEST(Acceptor, DrainingItTakesInALastClientAlsoAfterTheQueueWasEmpty) {
  AcceptorProcess acceptor;
  sys::Descriptor open = acceptor.connect();
  EXPECT_EQ(tests::echo(open.get(), "x"), "X");
  acceptor.signal(SIGTERM);  // the door itself stays open
  sys::Descriptor before = acceptor.connect();
  EXPECT_EQ(tests::echo(before.get(), "x"), "X");
  before.reset();
  EXPECT_TRUE(eventually([&] { return acceptor.book().served == 1; }));
  sys::Descriptor last = acceptor.connect();
  EXPECT_EQ(tests::echo(last.get(), "x", sys::Deadline::after(5s)), "X");
}

TEST(Acceptor, OnceTheDoorIsClosedADrainingAcceptorSleeps) {
  AcceptorProcess acceptor;
  sys::Descriptor open = acceptor.connect();
  EXPECT_EQ(tests::echo(open.get(), "x"), "X");
  acceptor.drain();
  acceptor.listener().stop_listening();
  EXPECT_TRUE(tests::sleeps(acceptor.pid()));
  open.reset();
  EXPECT_EQ(acceptor.exitcode(), planned_end);
}

TEST(Acceptor, TheEndOfTheDrainAnswersWhatWasReceived) {
  AcceptorProcess acceptor;
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(acceptor.connect());
  for (const sys::Descriptor& client : clients) EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  acceptor.drain();
  for (const sys::Descriptor& client : clients)
    ASSERT_TRUE(tests::send_all(client.get(), "last words"));
  acceptor.signal(SIGUSR2);
  for (sys::Descriptor& client : clients) {
    const std::string reply = tests::receive_to_end(client.get());
    EXPECT_TRUE(reply == "LAST WORDS") << reply;
    client.reset();
  }
  EXPECT_EQ(acceptor.exitcode(SIGUSR2), planned_end);
  EXPECT_EQ(acceptor.book().timed_out[4], 5U);
  EXPECT_EQ(acceptor.book().active(), 0U);
}

TEST(Acceptor, QuitKillsTheChildren) {
  AcceptorProcess acceptor;
  const sys::Descriptor client = acceptor.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  const sys::Descriptor child = mp::open_sentinel(acceptor.children().at(0));
  acceptor.signal(SIGQUIT);
  EXPECT_EQ(acceptor.exitcode(), planned_end);
  EXPECT_TRUE(tests::readable(child.get(), sys::Deadline::after(0s)));
  EXPECT_EQ(acceptor.book().crashed, 1U);
}

TEST(Acceptor, AChildSurvivesItsAcceptorAndNotTheSupervisor) {
  const tests::AdoptOrphans adopt;
  AcceptorProcess acceptor;
  sys::Descriptor client = acceptor.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  const pid_t child = acceptor.children().at(0);
  acceptor.signal(SIGKILL);
  EXPECT_EQ(acceptor.exitcode(), -SIGKILL);
  EXPECT_EQ(tests::echo(client.get(), "adopted"), "ADOPTED");
  client.reset();
  EXPECT_EQ(tests::exitcode_of(child), static_cast<int>(Ending::served));
}

}  // namespace
}  // namespace forkecho::server
