#include "server/event_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/server/serving_process.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

class EventWorkerProcess : public ServingProcess {
 public:
  explicit EventWorkerProcess(Options options = event_options(),
                              const std::vector<std::string>& addresses = {"127.0.0.1:0"})
      : ServingProcess(
            std::move(options), Blocking::no,
            [](const ProcessContext& context) { run_event_worker(context); }, addresses) {
    EXPECT_TRUE(eventually([&] { return state() == SlotState::idle; }));
  }
  static Options event_options() {
    Options options;
    options.mode = Mode::event;
    return options;
  }
};

TEST(EventWorker, ServesManyClientsAtOnce) {
  EventWorkerProcess worker;
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(worker.connect());
  for (const sys::Descriptor& client : clients) ASSERT_TRUE(tests::send_all(client.get(), "abc"));
  for (const sys::Descriptor& client : clients)
    EXPECT_EQ(tests::receive(client.get(), 3).data, "ABC");
  EXPECT_EQ(worker.book().active(), 50U);
  EXPECT_EQ(worker.state(), SlotState::serving);
  EXPECT_EQ(tests::title_of(worker.pid()), "forkechod: event worker");
  clients.clear();
  EXPECT_TRUE(eventually([&] { return worker.book().served == 50; }));
  EXPECT_TRUE(eventually([&] { return worker.state() == SlotState::idle; }));
  EXPECT_EQ(worker.book().bytes_in, 150U);
  EXPECT_EQ(worker.book().bytes_out, 150U);
  EXPECT_EQ(worker.page().slot.connections.get(), 50U);
}

TEST(EventWorker, ServesSeveralListeners) {
  const tests::TempDir directory;
  EventWorkerProcess worker(EventWorkerProcess::event_options(),
                            {"127.0.0.1:0", "[::1]:0", "unix:" + directory.path("s")});
  for (std::size_t i = 0; i < 3; ++i) {
    const sys::Descriptor client = worker.connect(i);
    EXPECT_EQ(tests::echo(client.get(), "x"), "X") << i;
  }
}

TEST(EventWorker, ATimeoutIsBookedAsSuch) {
  Options options = EventWorkerProcess::event_options();
  options.timeouts.first_byte = 50ms;
  EventWorkerProcess worker(options);
  sys::Descriptor client = worker.connect();
  EXPECT_EQ(tests::receive_to_end(client.get()), "");
  client.reset();
  EXPECT_TRUE(eventually([&] { return worker.book().timed_out[0] == 1; }));
}

TEST(EventWorker, ASlowReaderDoesNotHoldUpTheOthers) {
  EventWorkerProcess worker;
  const sys::Descriptor slow = worker.connect();
  const std::string block(65536, 'x');
  while (tests::writable(slow.get(), sys::Deadline::after(100ms)))
    ASSERT_GE(tests::send_some(slow.get(), block), 0);
  const sys::Descriptor other = worker.connect();
  EXPECT_EQ(tests::echo(other.get(), "hello"), "HELLO");
  EXPECT_EQ(tests::receive(slow.get(), 1 << 20).data, std::string(1 << 20, 'X'));
}

TEST(EventWorker, WhenFullClientsWaitInTheQueue) {
  Options options = EventWorkerProcess::event_options();
  options.max_connections = 1;
  EventWorkerProcess worker(options);
  sys::Descriptor first = worker.connect();
  EXPECT_EQ(tests::echo(first.get(), "x"), "X");
  const sys::Descriptor second = worker.connect();
  ASSERT_TRUE(tests::send_all(second.get(), "y"));
  EXPECT_EQ(tests::echo(first.get(), "x"), "X");
  EXPECT_EQ(worker.book().accepted, 1U);
  first.reset();
  EXPECT_EQ(tests::receive(second.get(), 1).data, "Y");
}

TEST(EventWorker, WhenFullItMayRefuse) {
  Options options = EventWorkerProcess::event_options();
  options.max_connections = 1;
  options.when_full = WhenFull::refuse;
  EventWorkerProcess worker(options);
  sys::Descriptor first = worker.connect();
  EXPECT_EQ(tests::echo(first.get(), "x"), "X");
  const sys::Descriptor refused = worker.connect();
  EXPECT_EQ(tests::receive_to_end(refused.get()), "");
  EXPECT_TRUE(eventually([&] { return worker.book().refused[0] == 1; }));
  first.reset();
  EXPECT_TRUE(eventually([&] { return worker.book().active() == 0; }));
  const sys::Descriptor third = worker.connect();
  EXPECT_EQ(tests::echo(third.get(), "x"), "X");
}

// --- The drain

TEST(EventWorker, DrainingItServesItsQueueAndItsClientsToTheirEnd) {
  EventWorkerProcess worker;
  sys::Descriptor open = worker.connect();
  EXPECT_EQ(tests::echo(open.get(), "x"), "X");
  ASSERT_TRUE(tests::stop_all({worker.pid()}));  // so that the next stays in the queue
  sys::Descriptor queued = worker.connect();
  worker.drain();
  kill(worker.pid(), SIGCONT);
  EXPECT_EQ(tests::echo(queued.get(), "queued"), "QUEUED");
  EXPECT_EQ(tests::echo(open.get(), "open"), "OPEN");
  queued.reset();
  open.reset();
  EXPECT_EQ(worker.exitcode(SIGTERM), planned_end);
  EXPECT_EQ(worker.book().served, 2U);
  EXPECT_EQ(worker.book().active(), 0U);
}

TEST(EventWorker, DrainingWhenFullItServesTheQueueAsRoomComes) {
  Options options = EventWorkerProcess::event_options();
  options.max_connections = 1;
  EventWorkerProcess worker(options);
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(worker.connect());
  EXPECT_EQ(tests::echo(clients[0].get(), "x"), "X");
  worker.drain();
  for (sys::Descriptor& client : clients) {
    EXPECT_EQ(tests::echo(client.get(), "abc"), "ABC");
    client.reset();
  }
  EXPECT_EQ(worker.exitcode(SIGTERM), planned_end);
  EXPECT_EQ(worker.book().served, 3U);
}

/// More clients are ready than one look at the events shows.
TEST(EventWorker, DrainingUnderLoadItServesTheWholeQueue) {
  EventWorkerProcess worker;
  std::vector<sys::Descriptor> busy;
  for (int i = 0; i < 600; ++i) busy.push_back(worker.connect());
  EXPECT_TRUE(eventually([&] { return worker.book().active() == 600; }));
  ASSERT_TRUE(tests::stop_all({worker.pid()}));
  for (const sys::Descriptor& client : busy) ASSERT_TRUE(tests::send_all(client.get(), "x"));
  std::vector<sys::Descriptor> queued;
  for (int i = 0; i < 50; ++i) queued.push_back(worker.connect());
  worker.drain();
  kill(worker.pid(), SIGCONT);
  for (const sys::Descriptor& client : queued) {
    ASSERT_EQ(tests::echo(client.get(), "q", sys::Deadline::after(5s)), "Q");
  }
  for (const sys::Descriptor& client : busy) ASSERT_EQ(tests::receive(client.get(), 1).data, "X");
}

/// A handshake that was under way when the door was shut comes to its end a little later.
TEST(EventWorker, DrainingItTakesInALastClientAlsoAfterTheQueueWasEmpty) {
  EventWorkerProcess worker;
  const sys::Descriptor open = worker.connect();
  EXPECT_EQ(tests::echo(open.get(), "x"), "X");
  worker.signal(SIGTERM);  // the door itself stays open
  EXPECT_EQ(tests::echo(open.get(), "x"), "X");
  const sys::Descriptor last = worker.connect();
  EXPECT_EQ(tests::echo(last.get(), "x", sys::Deadline::after(5s)), "X");
}

TEST(EventWorker, ADrainingWorkerThatIsFullSleeps) {
  Options options = EventWorkerProcess::event_options();
  options.max_connections = 1;
  EventWorkerProcess worker(options);
  const sys::Descriptor open = worker.connect();
  EXPECT_EQ(tests::echo(open.get(), "x"), "X");
  const sys::Descriptor queued = worker.connect();
  worker.drain();
  EXPECT_TRUE(tests::sleeps(worker.pid()));
}

TEST(EventWorker, TheEndOfTheDrainAnswersWhatWasReceived) {
  EventWorkerProcess worker;
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(worker.connect());
  for (const sys::Descriptor& client : clients) EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  worker.drain();
  for (const sys::Descriptor& client : clients)
    ASSERT_TRUE(tests::send_all(client.get(), "last words"));
  worker.signal(SIGUSR2);
  for (sys::Descriptor& client : clients) {
    EXPECT_EQ(tests::receive_to_end(client.get()), "LAST WORDS");
    client.reset();
  }
  EXPECT_EQ(worker.exitcode(SIGUSR2), planned_end);
  EXPECT_EQ(worker.book().timed_out[4], 5U);
}

}  // namespace
}  // namespace forkecho::server
