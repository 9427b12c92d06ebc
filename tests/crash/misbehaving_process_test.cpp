// A process that serves and has gone wrong: it scribbles over all shared memory that it can write,
// crashes, exhausts its memory, stops itself or its process group, floods the log. The supervisor
// and the other connections go on, and the books stay sane.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>

#include "tests/support/control_group.h"
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

/// Where a process of this mode has just got a client and begins to serve.
std::string serving_step(const ModeUnderTest& mode) {
  return mode.has_acceptor() ? "acceptor.child.ready"
         : mode.is_event()   ? "event.serve.begun"
                             : "worker.serve.begun";
}

std::vector<ModeUnderTest> modes_with_others() {
  std::vector<ModeUnderTest> modes = all_modes;
  std::erase_if(modes, [](const ModeUnderTest& mode) { return mode.holds_others_up(); });
  return modes;
}

/// No daemon of a test has seen more.
constexpr std::uint64_t sane_connections = 200'000'000;
constexpr std::uint64_t sane_bytes = 100'000'000'000'000;

void expect_sanity(const BooksSeen& books) {
  SCOPED_TRACE(testing::PrintToString(books));
  EXPECT_LE(books.accepted, sane_connections);
  EXPECT_LE(books.ended(), books.accepted);
  EXPECT_LE(books.active, 10'000U);
  EXPECT_LE(books.forked, sane_connections);
  EXPECT_LE(books.reaped, books.forked);
  EXPECT_LE(books.idle + books.busy, 1000U);
  EXPECT_LE(books.bytes_in, sane_bytes);
  EXPECT_LE(books.bytes_out, sane_bytes);
}

class Misbehaving : public testing::TestWithParam<ModeUnderTest> {
 protected:
  Misbehaving() : daemon_(steps_.options(GetParam())) {
    EXPECT_EQ(bystander_.ask("in").data, "IN");
  }
  /// The next client's process does so; returns the client.
  std::unique_ptr<TestClient> misbehave(StepAction action, int argument = 0) {
    steps_.order({.step = serving_step(GetParam()), .action = action, .argument = argument});
    auto client = std::make_unique<TestClient>(daemon_.target());
    EXPECT_TRUE(client->send("request"));
    EXPECT_TRUE(steps_.wait_until_done(1));
    return client;
  }
  /// In event mode the one that has gone wrong may serve the bystander, too.
  void expect_that_others_go_on() {
    if (!GetParam().is_event()) {
      EXPECT_EQ(bystander_.ask("still").data, "STILL");
    }
    EXPECT_EQ(TestClient(daemon_.target()).ask("new").data, "NEW") << daemon_.log();
    EXPECT_EQ(daemon_.status()["state"], "running");
  }

  StepControl steps_;
  DaemonUnderTest daemon_;
  TestClient bystander_{daemon_.target()};
};
INSTANTIATE_TEST_SUITE_P(Modes, Misbehaving, testing::ValuesIn(modes_with_others()), name_of_mode);

TEST_P(Misbehaving, ScribblingOverSharedMemoryHarmsNobodyElse) {
  std::uint64_t connections = 1;
  for (const int byte : {0xFF, 0x00, 0x01, 0x7F, 0x80}) {
    SCOPED_TRACE(byte);
    const auto client = misbehave(StepAction::scribble, byte);
    EXPECT_EQ(client->receive(7).data, "REQUEST");
    expect_sanity(daemon_.books());
    expect_that_others_go_on();
    expect_sanity(daemon_.books());
    client->close();
    connections += 2;
    // What a book says between the last look and a scribble is lost: the ends are to be seen first.
    ASSERT_TRUE(eventually(patience(), [&] { return daemon_.books().active <= 1; }))
        << testing::PrintToString(daemon_.books()) << daemon_.log();
  }
  bystander_.close();
  ASSERT_TRUE(eventually(patience(),
                         [&] {
                           const BooksSeen books = daemon_.books();
                           return books.active == 0 && books.balance();
                         }))
      << testing::PrintToString(daemon_.books()) << daemon_.log();
  const BooksSeen books = daemon_.books();
  expect_sanity(books);
  if (GetParam().is_fork()) {
    // Its children are accounted for by their exit codes, which no memory can falsify.
    EXPECT_EQ(books.accepted, connections);
    EXPECT_EQ(books.served, connections);
  } else {
    EXPECT_LE(books.accepted, connections);
  }
  EXPECT_EQ(daemon_.stop(), 0) << daemon_.log();
}

/// What it wrote is still there when its acceptor dies, and the supervisor adopts it.
TEST_P(Misbehaving, ScribblingIsNotBelievedAfterTheAcceptorsDeathEither) {
  const auto client = misbehave(StepAction::scribble, 0xFF);
  ASSERT_EQ(client->receive(7).data, "REQUEST");
  for (const pid_t pid : daemon_.accepting_processes()) kill(pid, SIGKILL);
  EXPECT_TRUE(eventually(patience(), [&] {
    TestClient next(daemon_.target());
    return next.ask("next", sys::Deadline::after(1s)).data == "NEXT";
  })) << daemon_.log();
  expect_sanity(daemon_.books());
  client->close();
  bystander_.close();
  ASSERT_TRUE(eventually(patience(),
                         [&] {
                           const BooksSeen books = daemon_.books();
                           return books.active == 0 && books.balance();
                         }))
      << testing::PrintToString(daemon_.books()) << daemon_.log();
  expect_sanity(daemon_.books());
  EXPECT_EQ(daemon_.stop(), 0) << daemon_.log();
}

TEST_P(Misbehaving, ACrashIsCountedAndNothingElseHappens) {
  const auto client = misbehave(StepAction::crash);
  EXPECT_NE(client->receive_to_end().heard, Heard::timed_out);
  expect_that_others_go_on();
  bystander_.close();
  ASSERT_TRUE(eventually(patience(), [&] {
    const BooksSeen books = daemon_.books();
    return books.active == 0 && books.balance();
  })) << testing::PrintToString(daemon_.books());
  const BooksSeen books = daemon_.books();
  EXPECT_GE(books.crashed, 1U);
  EXPECT_LE(books.crashed, GetParam().is_event() ? 2U : 1U);
}

TEST_P(Misbehaving, ExhaustedMemoryIsItsOwn) {
  const auto client = misbehave(StepAction::exhaust_memory);
  EXPECT_NE(client->receive_to_end().heard, Heard::timed_out);
  expect_that_others_go_on();
  bystander_.close();
  ASSERT_TRUE(eventually(patience(), [&] {
    const BooksSeen books = daemon_.books();
    return books.active == 0 && books.balance();
  })) << testing::PrintToString(daemon_.books());
  EXPECT_GE(daemon_.books().crashed, GetParam().is_event() ? 0U : 1U);
}

/// As the kernel does when a control group's memory is used up.
TEST_P(Misbehaving, KilledForItsMemoryItIsCounted) {
  const ControlGroup group("memory");
  if (!group.why_not().empty()) GTEST_SKIP() << group.why_not();
  group.limit_memory(16 << 20);
  steps_.order({.step = serving_step(GetParam()), .action = StepAction::hold, .argument = 1}, 0);
  steps_.order({.step = serving_step(GetParam()), .action = StepAction::exhaust_memory}, 1);
  TestClient client(daemon_.target());
  ASSERT_TRUE(steps_.wait_until_done(1));
  group.add(steps_.last());
  // Lets the held one go, and takes back nothing else.
  steps_.let_go();
  EXPECT_NE(client.receive_to_end().heard, Heard::timed_out);
  expect_that_others_go_on();
  bystander_.close();
  client.close();
  ASSERT_TRUE(eventually(patience(), [&] {
    const BooksSeen books = daemon_.books();
    return books.active == 0 && books.balance();
  })) << testing::PrintToString(daemon_.books());
  EXPECT_GE(daemon_.books().crashed, 1U);
  EXPECT_NE(daemon_.log().find("signal 9"), std::string::npos) << daemon_.log();
}

TEST_P(Misbehaving, AStoppedOneHoldsUpNobody) {
  const auto client = misbehave(StepAction::stop_self);
  expect_that_others_go_on();
  // It can be ended all the same.
  bystander_.close();
  daemon_.signal(SIGQUIT);
  EXPECT_EQ(daemon_.wait(), 0);
}

/// In fork mode the group is the acceptor's. The system-call filter forbids it (--sandbox); without
/// that the supervisor sees to it, after some seconds' patience.
TEST_P(Misbehaving, AStoppedGroupIsSetGoingAgain) {
  const auto client = misbehave(StepAction::stop_group);
  EXPECT_EQ(client->receive(7, sys::Deadline::after(30s)).data, "REQUEST");
  EXPECT_EQ(TestClient(daemon_.target()).ask("new").data, "NEW");
  EXPECT_EQ(bystander_.ask("still").data, "STILL");
  EXPECT_NE(daemon_.log().find("was stopped"), std::string::npos) << daemon_.log();
}

TEST_P(Misbehaving, AFloodedLogHoldsUpNobody) {
  const auto client = misbehave(StepAction::flood_log, 100'000);
  expect_that_others_go_on();
  EXPECT_EQ(client->receive(7).data, "REQUEST");
}

/// A pipe that nobody empties: whoever floods it waits, and nobody else.
TEST(MisbehavingLog, AFullPipeHoldsUpNobodyWhoBehaves) {
  Pipe pipe;
  StepControl steps;
  DaemonUnderTest::Options options = steps.options(mode_named("fork"));
  options.program.before_exec = [&pipe, before = options.program.before_exec] {
    before();
    dup2(pipe.write.get(), STDERR_FILENO);
  };
  DaemonUnderTest daemon(options);
  TestClient bystander(daemon.target());
  ASSERT_EQ(bystander.ask("in").data, "IN");
  steps.order(
      {.step = "acceptor.child.ready", .action = StepAction::flood_log, .argument = 1 << 30});
  TestClient flooding(daemon.target());
  ASSERT_TRUE(steps.wait_until_done(1));
  pollfd full{.fd = pipe.write.get(), .events = POLLOUT, .revents = 0};
  ASSERT_TRUE(eventually(patience(), [&] { return poll(&full, 1, 0) == 0; }));
  // Each of these writes a line.
  kill(steps.last(), SIGSTOP);
  for (int i = 0; i < 3; ++i) {
    const pid_t acceptor = daemon.accepting_processes().at(0);
    kill(acceptor, SIGKILL);
    ASSERT_TRUE(eventually(patience(), [&] {
      const auto now = daemon.accepting_processes();
      return now.size() == 1 && now.front() != acceptor;
    }));
    EXPECT_EQ(TestClient(daemon.target()).ask("new").data, "NEW");
  }
  EXPECT_EQ(bystander.ask("still").data, "STILL");
  daemon.signal(SIGQUIT);
  EXPECT_EQ(daemon.wait(), 0);
}

/// And one whose reader has gone is no death.
TEST(MisbehavingLog, ABrokenPipeEndsNobody) {
  Pipe pipe;
  DaemonUnderTest daemon({.arguments = {"--acceptors", "1"},
                          .control = {},
                          .program = {.input = {},
                                      .before_exec = [&] { dup2(pipe.write.get(), STDERR_FILENO); },
                                      .own_session = true}});
  pipe.read.reset();
  pipe.write.reset();
  kill(daemon.accepting_processes().at(0), SIGKILL);  // to be told in the log
  EXPECT_TRUE(eventually(patience(), [&] {
    return TestClient(daemon.target()).ask("new", sys::Deadline::after(1s)).data == "NEW";
  }));
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace forkecho::tests
