#include "server/serve_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <csignal>
#include <functional>
#include <random>

#include "common/mp/fork.h"
#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "server/worker.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/soak.h"
#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using sys::Deadline;
using tests::Received;
using tests::SocketPair;

/// What a wait may take that the code bounds by about a second.
Deadline within_bound() {
  return Deadline::after(5s);
}

/// serve_connection in a child of its own: SIGUSR2 finishes the connection, SIGTERM does nothing
/// but interrupt. The child's exit code is the Ending.
class Serving {
 public:
  explicit Serving(SocketPair pair, Timeouts timeouts = {},
                   Transform transform = Transform::unicode)
      : client_(std::move(pair.client)),
        process_([this, server = pair.server.get(), timeouts, transform] {
          client_.reset();
          install_worker_signals(finish_current_connection);
          mp::accept_signals();
          const ServeOptions options{
              .transform = transform, .timeouts = timeouts, .stress = &*stress_};
          mp::leave(static_cast<int>(serve_connection(server, options, *meter_)));
        }) {
    process_.set_daemon(true);
    process_.keep_signals_blocked();
    process_.start();
  }
  ~Serving() {
    process_.kill();
    process_.join();
  }

  int client() const { return client_.get(); }
  sys::Descriptor& client_socket() { return client_; }
  pid_t pid() { return *process_.pid(); }
  void finish() { process_.signal(SIGUSR2); }
  void set_stress(bool on) { *stress_ = on; }
  void interrupt() { process_.signal(SIGTERM); }
  bool has_ended() { return process_.exitcode().has_value(); }
  const Meter& meter() const { return *meter_; }

  /// Empty when the connection is not over in time.
  std::optional<Ending> ending(Deadline deadline = tests::patience()) {
    if (!process_.join(deadline)) return std::nullopt;
    return static_cast<Ending>(*process_.exitcode());
  }

  /// Runs `act` while the child stands still, so that it finds all of it at once.
  template <typename Act>
  void while_stopped(Act act) {
    process_.signal(SIGSTOP);
    EXPECT_TRUE(
        tests::eventually(tests::patience(), [&] { return tests::state_of(pid()) == 'T'; }));
    act();
    process_.signal(SIGCONT);
  }

 private:
  mp::RawValue<Meter> meter_;
  mp::RawValue<std::atomic<bool>> stress_;
  sys::Descriptor client_;
  mp::Process process_;
};

Timeouts no_timeouts() {
  return {.write = 0s};
}

class OverBoth : public testing::TestWithParam<bool> {
 protected:
  static SocketPair pair() { return GetParam() ? tests::tcp_pair() : tests::unix_pair(); }
};
INSTANTIATE_TEST_SUITE_P(ServeConnection, OverBoth, testing::Values(true, false),
                         [](const auto& test) { return test.param ? "tcp" : "unix"; });

TEST_P(OverBoth, AnswersEachRequest) {
  Serving serving(pair());
  EXPECT_EQ(tests::echo(serving.client(), "hello\n"), "HELLO\n");
  EXPECT_EQ(tests::echo(serving.client(), "again"), "AGAIN");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(), Ending::served);
  EXPECT_EQ(serving.meter().bytes_in.get(), 11U);
  EXPECT_EQ(serving.meter().bytes_out.get(), 11U);
}

TEST_P(OverBoth, HonoursTheHalfClose) {
  Serving serving(pair());
  ASSERT_TRUE(tests::send_all(serving.client(), "all of this, then the end"));
  tests::end_sending(serving.client());
  EXPECT_EQ(tests::receive_to_end(serving.client()), "ALL OF THIS, THEN THE END");
  EXPECT_EQ(serving.ending(), Ending::served);
}

TEST_P(OverBoth, AClientThatSaysNothingAndLeavesIsServed) {
  Serving serving(pair());
  tests::end_sending(serving.client());
  EXPECT_EQ(tests::receive_to_end(serving.client()), "");
  EXPECT_EQ(serving.ending(), Ending::served);
}

TEST_P(OverBoth, ACharacterSplitBetweenReadsWaitsForItsRest) {
  Serving serving(pair());
  ASSERT_TRUE(tests::send_all(serving.client(), "a\xc3"));
  EXPECT_EQ(tests::receive(serving.client(), 1).data, "A");  // so the rest is another read
  ASSERT_TRUE(tests::send_all(serving.client(), "\xa4z"));
  tests::end_sending(serving.client());
  EXPECT_EQ(tests::receive_to_end(serving.client()), "\xc3\x84Z");
}

TEST_P(OverBoth, BytesOfACharacterThatNeverEndsComeBack) {
  Serving serving(pair());
  ASSERT_TRUE(tests::send_all(serving.client(), "x\xf0\x9f\x98"));
  tests::end_sending(serving.client());
  EXPECT_EQ(tests::receive_to_end(serving.client()), "X\xf0\x9f\x98");
  EXPECT_EQ(serving.ending(), Ending::served);
}

std::string upper_ascii(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return text;
}

std::string random_letters(std::size_t count, std::minstd_rand& random) {
  std::string text(count, ' ');
  for (char& c : text) c = static_cast<char>('A' + random() % 58);
  return text;
}

/// Sends `text` in random cuts and reads the reply meanwhile, in random gulps.
std::string exchange_in_cuts(int client, std::string_view text, std::minstd_rand& random) {
  std::string reply;
  while (!text.empty()) {
    const std::size_t cut =
        std::min<std::size_t>(text.size(), 1 + random() % (random() % 4 == 0 ? 100000 : 300));
    const ssize_t sent = tests::send_some(client, text.substr(0, cut));
    if (sent < 0) return reply + "[broken]";
    text.remove_prefix(static_cast<std::size_t>(sent));
    const Deadline now = Deadline::after(sys::Duration::zero());
    reply +=
        tests::receive(client, 1 + random() % 100000, sent > 0 ? now : Deadline::after(10ms)).data;
  }
  tests::end_sending(client);
  return reply + tests::receive_to_end(client);
}

TEST_P(OverBoth, AMebibyteInRandomCutsReturnsWhole) {
  std::minstd_rand random(1);
  for (int round = 0; round < tests::soak(2, 100); ++round) {
    Serving serving(pair(), {}, Transform::ascii);
    const std::string text = random_letters(1 << 20, random);
    ASSERT_TRUE(exchange_in_cuts(serving.client(), text, random) == upper_ascii(text)) << round;
    EXPECT_EQ(serving.ending(), Ending::served);
    EXPECT_EQ(serving.meter().bytes_out.get(), text.size());
  }
}

TEST(ServeConnection, PartialWritesAreFinished) {
  std::minstd_rand random(2);
  SocketPair pair = tests::unix_pair();
  tests::set_tiny_buffers(pair.client.get());
  tests::set_tiny_buffers(pair.server.get());
  Serving serving(std::move(pair), {}, Transform::ascii);
  const std::string text = random_letters(300000, random);
  EXPECT_TRUE(exchange_in_cuts(serving.client(), text, random) == upper_ascii(text));
  EXPECT_EQ(serving.ending(), Ending::served);
}

TEST(ServeConnection, PartialWritesAreFinishedOverTcp) {
  std::minstd_rand random(3);
  Serving serving(tests::tcp_pair(tests::Buffers::tiny), {}, Transform::ascii);
  const std::string text = random_letters(8000, random);
  EXPECT_TRUE(exchange_in_cuts(serving.client(), text, random) == upper_ascii(text));
  EXPECT_EQ(serving.ending(), Ending::served);
}

TEST(ServeConnection, NoneIsAnEcho) {
  Serving serving(tests::tcp_pair(), {}, Transform::none);
  EXPECT_EQ(tests::echo(serving.client(), "as it is\xff"), "as it is\xff");
}

TEST(ServeConnection, AClientThatResetsWasServed) {
  Serving serving(tests::tcp_pair());
  EXPECT_EQ(tests::echo(serving.client(), "x"), "X");
  tests::reset_connection(serving.client_socket());
  EXPECT_EQ(serving.ending(), Ending::served);
}

/// Sends until the server takes no more, or has ended the connection.
void send_until_stalled(int client) {
  const std::string block(65536, 'x');
  while (tests::writable(client, Deadline::after(100ms))) {
    if (tests::send_some(client, block) < 0) return;
  }
}

TEST(ServeConnection, AClientThatResetsInTheMiddleOfAReplyWasServed) {
  Serving serving(tests::tcp_pair(tests::Buffers::tiny), no_timeouts());
  send_until_stalled(serving.client());
  tests::reset_connection(serving.client_socket());
  EXPECT_EQ(serving.ending(), Ending::served);
}

// --- Timeouts: each has an ending of its own, and ends the connection in order.

TEST_P(OverBoth, AFirstByteThatDoesNotCome) {
  Serving serving(pair(), {.first_byte = 30ms});
  EXPECT_EQ(tests::receive_to_end(serving.client()), "");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(), Ending::first_byte_timeout);
}

TEST_P(OverBoth, TheFirstByteTimeoutIsForTheFirstByteAlone) {
  Serving serving(pair(), {.first_byte = 2s, .idle = 30ms});
  EXPECT_EQ(tests::echo(serving.client(), "first"), "FIRST");
  EXPECT_EQ(tests::receive_to_end(serving.client()), "");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(), Ending::idle_timeout);
}

TEST_P(OverBoth, AnIdleClient) {
  Serving serving(pair(), {.idle = 30ms});
  EXPECT_EQ(tests::receive_to_end(serving.client()), "");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(), Ending::idle_timeout);
}

TEST_P(OverBoth, BytesOfACutCharacterComeBackAtATimeout) {
  Serving serving(pair(), {.idle = 30ms});
  ASSERT_TRUE(tests::send_all(serving.client(), "x\xe2\x82"));
  EXPECT_EQ(tests::receive_to_end(serving.client()), "X\xe2\x82");
}

TEST_P(OverBoth, AClientThatDoesNotRead) {
  Serving serving(pair(), {.write = 50ms});
  send_until_stalled(serving.client());
  EXPECT_EQ(serving.ending(), Ending::write_timeout);
}

TEST_P(OverBoth, ALifetimeThatHasPassed) {
  Serving serving(pair(), {.idle = 10s, .lifetime = 50ms});
  EXPECT_EQ(tests::echo(serving.client(), "x"), "X");
  EXPECT_EQ(tests::receive_to_end(serving.client()), "");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(), Ending::lifetime_timeout);
}

TEST_P(OverBoth, ALifetimeThatPassesDuringAWrite) {
  Serving serving(pair(), {.write = 10s, .lifetime = 50ms});
  send_until_stalled(serving.client());
  EXPECT_EQ(serving.ending(), Ending::lifetime_timeout);
}

/// A client that sends and reads without a pause until the server is gone; false when the deadline
/// passed first.
bool send_without_end(int client, Deadline deadline, const std::function<bool()>& over) {
  const std::string block(16384, 'y');
  while (!deadline.passed() && !over()) {
    if (tests::send_some(client, block) < 0) return true;
    tests::receive(client, 1 << 20, Deadline::after(sys::Duration::zero()));
  }
  return over();
}

TEST_P(OverBoth, ALifetimeEndsAClientThatNeverStopsSending) {
  Serving serving(pair(), {.lifetime = 50ms});
  EXPECT_TRUE(
      send_without_end(serving.client(), within_bound(), [&] { return serving.has_ended(); }));
  EXPECT_EQ(serving.ending(), Ending::lifetime_timeout);
}

TEST_P(OverBoth, ATimeoutHoldsAlsoWhereSignalsInterruptTheWait) {
  Serving serving(pair(), {.idle = 200ms});
  EXPECT_EQ(tests::echo(serving.client(), "x"), "X");
  const Deadline deadline = within_bound();
  bool ended = false;
  while (!ended && !deadline.passed()) {
    serving.interrupt();  // more often than the timeout
    ended = tests::readable(serving.client(), Deadline::after(20ms));
  }
  EXPECT_TRUE(ended);
  EXPECT_EQ(tests::receive_to_end(serving.client(), Deadline::after(0s)), "");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(), Ending::idle_timeout);
}

TEST_P(OverBoth, ATimeoutHoldsAfterASingleInterruption) {
  Serving serving(pair(), {.idle = 500ms});
  EXPECT_EQ(tests::echo(serving.client(), "x"), "X");
  EXPECT_TRUE(
      tests::eventually(tests::patience(), [&] { return tests::state_of(serving.pid()) == 'S'; }));
  serving.interrupt();
  EXPECT_EQ(tests::receive_to_end(serving.client(), within_bound()), "");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(), Ending::idle_timeout);
}

TEST(ServeConnection, NoTimeoutEndsAClientThatKeepsTalking) {
  Serving serving(tests::tcp_pair(), {.first_byte = 200ms, .idle = 200ms});
  const Deadline longer_than_all = Deadline::after(600ms);
  while (!longer_than_all.passed()) ASSERT_EQ(tests::echo(serving.client(), "x"), "X");
  tests::end_sending(serving.client());
  EXPECT_EQ(serving.ending(), Ending::served);
}

// --- finish_current_connection

TEST_P(OverBoth, FinishingAnswersWhatWasReceivedAndDiscardsWhatComesLate) {
  Serving serving(pair());
  EXPECT_EQ(tests::echo(serving.client(), "before"), "BEFORE");
  serving.while_stopped([&] {
    ASSERT_TRUE(tests::send_all(serving.client(), "received in time"));
    serving.finish();
  });
  EXPECT_EQ(tests::receive_to_end(serving.client()), "RECEIVED IN TIME");
  EXPECT_TRUE(tests::send_all(serving.client(), "too late"));  // no reset
  EXPECT_EQ(tests::receive_to_end(serving.client()), "");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(), Ending::drain_timeout);
  EXPECT_EQ(serving.meter().bytes_in.get(), 22U);
}

TEST_P(OverBoth, FinishingAnswersAllThatWasReceived) {
  Serving serving(pair());
  const std::string block(32 * 1024, 'q');  // fits any receive buffer
  serving.while_stopped([&] {
    ASSERT_TRUE(tests::send_all(serving.client(), block));
    int on_the_way = 0;
    if (GetParam()) {
      EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
        return ioctl(serving.client(), TIOCOUTQ, &on_the_way) == 0 && on_the_way == 0;
      })) << on_the_way;
    }
    serving.finish();
  });
  EXPECT_TRUE(tests::receive_to_end(serving.client()) == std::string(block.size(), 'Q'));
}

TEST_P(OverBoth, FinishingReturnsTheBytesOfACutCharacter) {
  Serving serving(pair());
  ASSERT_TRUE(tests::send_all(serving.client(), "x\xe2\x82"));
  EXPECT_EQ(tests::receive(serving.client(), 1).data, "X");
  serving.finish();
  EXPECT_EQ(tests::receive_to_end(serving.client()), "\xe2\x82");
}

TEST_P(OverBoth, FinishingEndsAnIdleConnection) {
  Serving serving(pair());
  EXPECT_EQ(tests::echo(serving.client(), "x"), "X");
  serving.finish();
  EXPECT_EQ(tests::receive_to_end(serving.client()), "");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(), Ending::drain_timeout);
}

TEST_P(OverBoth, AClientThatHadEndedBeforeTheFinishWasServed) {
  Serving serving(pair());
  EXPECT_EQ(tests::echo(serving.client(), "x"), "X");
  serving.while_stopped([&] {
    ASSERT_TRUE(tests::send_all(serving.client(), "last"));
    tests::end_sending(serving.client());
    serving.finish();
  });
  EXPECT_EQ(tests::receive_to_end(serving.client()), "LAST");
  EXPECT_EQ(serving.ending(), Ending::served);
}

TEST(ServeConnection, AFinishThatComesBeforeTheConnectionHoldsForIt) {
  SocketPair pair = tests::tcp_pair();
  ASSERT_TRUE(tests::send_all(pair.client.get(), "first"));
  ASSERT_TRUE(tests::readable(pair.server.get()));
  const auto code = tests::exitcode_in_child([&] {
    finish_current_connection();
    Meter meter;
    const bool was_finishing = finishing();
    pair.client.reset();
    const Ending ending = serve_connection(pair.server.get(), {}, meter);
    return was_finishing ? static_cast<int>(ending) : 1;
  });
  EXPECT_EQ(code, static_cast<int>(Ending::drain_timeout));
  EXPECT_EQ(tests::receive(pair.client.get(), 5).data, "FIRST");
}

/// The daemon repeats its signal until the process is gone.
std::optional<Ending> finish_repeatedly(Serving& serving, const std::function<void()>& meanwhile) {
  const Deadline deadline = within_bound();
  while (!deadline.passed() && !serving.has_ended()) {
    serving.finish();
    meanwhile();
  }
  return serving.ending(Deadline::after(0s));
}

TEST_P(OverBoth, AClientThatNeverStopsSendingCannotHoldUpTheFinish) {
  Serving serving(pair());
  EXPECT_EQ(tests::echo(serving.client(), "x"), "X");
  const auto ending = finish_repeatedly(serving, [&] {
    send_without_end(serving.client(), Deadline::after(20ms), [&] { return serving.has_ended(); });
  });
  EXPECT_EQ(ending, Ending::drain_timeout);
}

TEST_P(OverBoth, AClientThatNeverReadsCannotHoldUpTheFinish) {
  Serving serving(pair(), no_timeouts());
  send_until_stalled(serving.client());
  const auto ending = finish_repeatedly(serving, [&] { serving.ending(Deadline::after(20ms)); });
  EXPECT_EQ(ending, Ending::drain_timeout);
}

TEST_P(OverBoth, AClientThatDoesNotCloseCannotHoldUpTheFinish) {
  Serving serving(pair());
  EXPECT_EQ(tests::echo(serving.client(), "x"), "X");
  const auto ending = finish_repeatedly(serving, [&] { serving.ending(Deadline::after(20ms)); });
  EXPECT_EQ(ending, Ending::drain_timeout);
  EXPECT_EQ(tests::receive_to_end(serving.client()), "");
}

// --- close_in_order

TEST(CloseInOrder, LastBytesArriveThoughTheClientHasSentMore) {
  SocketPair pair = tests::tcp_pair();
  ASSERT_TRUE(tests::send_all(pair.client.get(), std::string(100000, 'x')));
  const pid_t child = tests::start_child([&] {
    pair.client.reset();
    tests::send_all(pair.server.get(), "farewell");
    close_in_order(pair.server.get());
    return 0;
  });
  pair.server.reset();
  EXPECT_EQ(tests::receive_to_end(pair.client.get()), "farewell");
  pair.client.reset();
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(CloseInOrder, GivesUpOnAClientThatStays) {
  SocketPair pair = tests::tcp_pair();
  const Deadline deadline = within_bound();
  close_in_order(pair.server.get());
  EXPECT_FALSE(deadline.passed());
}

// --- Stress

TEST(ServeConnectionUnderStress, ClientsThatWereThereAlreadyAreHeldToTheShorterTime) {
  Serving serving(tests::tcp_pair(), {.idle = 1h, .stress = 150ms});
  EXPECT_EQ(tests::echo(serving.client(), "x"), "X");
  EXPECT_FALSE(serving.ending(Deadline::after(400ms))) << "no stress yet";
  serving.set_stress(true);
  EXPECT_EQ(tests::receive_to_end(serving.client()), "");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(within_bound()), Ending::idle_timeout);
}

TEST(ServeConnectionUnderStress, AlsoWhereThereIsNoOtherTimeout) {
  Serving serving(tests::tcp_pair(), {.write = 0s, .stress = 100ms});
  serving.set_stress(true);
  EXPECT_EQ(tests::receive_to_end(serving.client()), "");
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(within_bound()), Ending::first_byte_timeout);
}

TEST(ServeConnectionUnderStress, WhoSpeaksIsServed) {
  Serving serving(tests::tcp_pair(), {.stress = 300ms});
  serving.set_stress(true);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(tests::echo(serving.client(), "x"), "X");
    poll(nullptr, 0, 50);
  }
  serving.client_socket().reset();
  EXPECT_EQ(serving.ending(), Ending::served);
}

}  // namespace
}  // namespace forkecho::server
