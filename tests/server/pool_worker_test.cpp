#include "server/pool_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/server/serving_process.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

Options pool_options() {
  Options options;
  options.mode = Mode::pool;
  options.pool = default_pool_sizes(1);
  return options;
}

class PoolWorkerProcess : public ServingProcess {
 public:
  explicit PoolWorkerProcess(Options options = pool_options(), std::size_t pages = 1,
                             const std::vector<std::string>& addresses = {"127.0.0.1:0"})
      : ServingProcess(std::move(options), addresses.size() == 1 ? Blocking::yes : Blocking::no,
                       run_pool_worker, addresses, pages) {
    EXPECT_TRUE(eventually([&] { return state() == SlotState::idle; }));
  }
  /// One client from its first byte to its last.
  void serve_one() {
    sys::Descriptor client = connect();
    EXPECT_EQ(tests::echo(client.get(), "x"), "X");
    client.reset();
  }
};

TEST(PoolWorker, ServesOneClientAfterTheOther) {
  PoolWorkerProcess worker;
  sys::Descriptor first = worker.connect();
  const sys::Descriptor second = worker.connect();
  ASSERT_TRUE(tests::send_all(second.get(), "second"));
  EXPECT_EQ(tests::echo(first.get(), "first"), "FIRST");
  EXPECT_FALSE(tests::readable(second.get(), sys::Deadline::after(0s)));
  EXPECT_EQ(worker.book().accepted, 1U);
  EXPECT_EQ(worker.state(), SlotState::serving);
  first.reset();
  EXPECT_EQ(tests::receive(second.get(), 6).data, "SECOND");
  EXPECT_EQ(worker.book().accepted, 2U);
  EXPECT_EQ(worker.book().served, 1U);
  EXPECT_EQ(worker.book().bytes_in, 11U);
  EXPECT_EQ(worker.page().slot.connections.get(), 2U);
}

TEST(PoolWorker, SaysWhatItDoes) {
  PoolWorkerProcess worker;
  EXPECT_EQ(worker.page().slot.pid.load(), worker.pid());
  EXPECT_TRUE(
      eventually([&] { return tests::title_of(worker.pid()) == "forkechod: worker, idle"; }));
  sys::Descriptor client = worker.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  const std::string name = sys::SocketAddress::local(client.get()).to_string();
  EXPECT_EQ(tests::title_of(worker.pid()), "forkechod: serving " + name);
  EXPECT_EQ(worker.page().slot.peer.to_string(), name);
  client.reset();
  EXPECT_TRUE(
      eventually([&] { return tests::title_of(worker.pid()) == "forkechod: worker, idle"; }));
}

TEST(PoolWorker, ServesSeveralListeners) {
  const tests::TempDir directory;
  PoolWorkerProcess worker(pool_options(), 1, {"127.0.0.1:0", "unix:" + directory.path("s")});
  for (const std::size_t i : {0, 1, 0}) {
    const sys::Descriptor client = worker.connect(i);
    EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  }
}

TEST(PoolWorker, LeavesAfterAFullLife) {
  Options options = pool_options();
  options.connections_per_worker_life = 3;
  PoolWorkerProcess worker(options);
  for (int i = 0; i < 3; ++i) worker.serve_one();
  EXPECT_EQ(worker.exitcode(), planned_end);
  EXPECT_EQ(worker.book().served, 3U);
}

TEST(PoolWorker, JitterShortensALifeWithinItsBound) {
  Options options = pool_options();
  options.connections_per_worker_life = 4;
  options.life_jitter = 1000;  // more than a life: at least one connection is served
  PoolWorkerProcess worker(options);
  for (int i = 0; i < 4 && !worker.exitcode(0, sys::Deadline::after(20ms)); ++i) worker.serve_one();
  EXPECT_EQ(worker.exitcode(), planned_end);
  EXPECT_GE(worker.book().accepted, 1U);
  EXPECT_LE(worker.book().accepted, 4U);
}

TEST(PoolWorker, RetiresWhenIdle) {
  PoolWorkerProcess worker;
  EXPECT_EQ(worker.exitcode(SIGUSR1), planned_end);
}

TEST(PoolWorker, RetiresAfterTheConnectionThatItServes) {
  PoolWorkerProcess worker;
  sys::Descriptor client = worker.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  worker.signal(SIGUSR1);
  EXPECT_EQ(tests::echo(client.get(), "still here"), "STILL HERE");
  client.reset();
  EXPECT_EQ(worker.exitcode(SIGUSR1), planned_end);
  EXPECT_EQ(worker.book().served, 1U);
}

TEST(PoolWorker, DrainingItServesTheQueueWhateverItsAge) {
  Options options = pool_options();
  options.connections_per_worker_life = 1;
  PoolWorkerProcess worker(options);
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(worker.connect());
  EXPECT_EQ(tests::echo(clients[0].get(), "x"), "X");
  worker.drain();
  EXPECT_EQ(tests::echo(clients[0].get(), "not cut off"), "NOT CUT OFF");
  for (sys::Descriptor& client : clients) {
    EXPECT_EQ(tests::echo(client.get(), "x"), "X");
    client.reset();
  }
  EXPECT_EQ(worker.exitcode(SIGTERM), planned_end);
  EXPECT_EQ(worker.book().served, 3U);
  EXPECT_EQ(worker.book().active(), 0U);
}

TEST(PoolWorker, TheEndOfTheDrainAnswersWhatWasReceivedAlsoInTheQueue) {
  PoolWorkerProcess worker;
  sys::Descriptor served = worker.connect();
  EXPECT_EQ(tests::echo(served.get(), "x"), "X");
  sys::Descriptor queued = worker.connect();
  worker.drain();
  ASSERT_TRUE(tests::send_all(served.get(), "received"));
  ASSERT_TRUE(tests::send_all(queued.get(), "queued"));
  worker.signal(SIGUSR2);
  EXPECT_EQ(tests::receive_to_end(served.get()), "RECEIVED");
  served.reset();
  EXPECT_EQ(tests::receive_to_end(queued.get()), "QUEUED");
  queued.reset();
  EXPECT_EQ(worker.exitcode(SIGUSR2), planned_end);
  EXPECT_EQ(worker.book().timed_out[4], 2U);
}

TEST(PoolWorker, LeavesWhenTheListenerIsClosed) {
  PoolWorkerProcess worker;
  worker.listener().stop_listening();
  EXPECT_EQ(worker.exitcode(), planned_end);
}

TEST(PoolWorker, OneTooManyTurnsItsClientAway) {
  Options options = pool_options();
  options.when_full = WhenFull::refuse;
  options.max_connections = 1;
  PoolWorkerProcess worker(options, 2);
  worker.serve_one();
  worker.page(1).claims.set(1, Claims::Asking::no);  // the other worker is busy
  sys::Descriptor refused = worker.connect();
  EXPECT_EQ(tests::receive_to_end(refused.get()), "");
  refused.reset();
  EXPECT_TRUE(eventually([&] { return worker.book().refused[0] == 1; }));
  worker.page(1).claims.set(0, Claims::Asking::no);
  worker.serve_one();
  EXPECT_TRUE(eventually([&] { return worker.book().served == 2; }));
  EXPECT_EQ(worker.book().active(), 0U);
}

TEST(PoolWorker, AnIterativeServerRefusesNobody) {
  Options options = pool_options();
  options.mode = Mode::iterative;
  options.when_full = WhenFull::refuse;
  options.max_connections = 1;
  PoolWorkerProcess worker(options);
  EXPECT_TRUE(eventually(
      [&] { return tests::title_of(worker.pid()) == "forkechod: iterative server, idle"; }));
  worker.serve_one();
  EXPECT_TRUE(eventually([&] { return worker.book().served == 1; }));
  EXPECT_EQ(worker.book().refused[0], 0U);
}

}  // namespace
}  // namespace forkecho::server
