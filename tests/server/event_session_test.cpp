#include "server/event_session.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

#include "tests/support/soak.h"
#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using sys::Deadline;
using tests::SocketPair;

/// A session, driven as a worker drives it, on a clock that the test moves.
class Driven {
 public:
  explicit Driven(SocketPair pair, Timeouts timeouts = {}, Transform transform = Transform::unicode)
      : client_(std::move(pair.client)),
        session_(std::move(pair.server), options(timeouts, transform), now_) {}

  int client() const { return client_.get(); }
  sys::Descriptor& client_socket() { return client_; }
  EventSession& session() { return session_; }
  const Meter& meter() const { return meter_; }
  std::optional<Ending> ending() const { return session_.ending(); }

  /// One readiness event, if there is one.
  bool turn(Deadline deadline = tests::patience()) {
    if (session_.is_stalled()) {
      if (!tests::writable(session_.socket(), deadline)) return false;
      session_.on_writable(buffers(), meter_, now_);
    } else {
      if (!tests::readable(session_.socket(), deadline)) return false;
      session_.on_readable(buffers(), meter_, now_);
    }
    return true;
  }
  /// Turns until there is nothing to do.
  void settle() {
    while (!ending() && turn(Deadline::after(20ms))) {
    }
  }
  void pass(sys::Duration time) {
    now_ += time;
    session_.check_timeouts(now_, meter_);
  }
  void pass_under_stress(sys::Duration time) {
    now_ += time;
    session_.check_timeouts(now_, meter_, true);
  }
  void finish() { session_.finish(buffers(), meter_, now_); }

 private:
  EventBuffers buffers() { return {.input = input_, .scratch = scratch_}; }
  const Options& options(Timeouts timeouts, Transform transform) {
    options_.timeouts = timeouts;
    options_.transform = transform;
    return options_;
  }
  Options options_;
  std::vector<char> input_ = std::vector<char>(4096);
  std::vector<char> scratch_ = std::vector<char>(Uppercaser::max_output(4096));
  sys::Clock::time_point now_ = sys::Clock::now();
  Meter meter_;
  sys::Descriptor client_;
  EventSession session_;
};

std::string received_now(int client) {
  return tests::receive(client, std::string::npos, Deadline::after(0s)).data;
}

/// Sends until the server takes no more; returns how much it was.
std::size_t send_until_stalled(Driven& driven) {
  const std::string block(65536, 'x');
  std::size_t sent = 0;
  for (;;) {
    const ssize_t count = tests::send_some(driven.client(), block);
    EXPECT_GE(count, 0);
    if (count > 0) sent += static_cast<std::size_t>(count);
    if (count == 0 && driven.session().is_stalled()) return sent;
    driven.turn(Deadline::after(20ms));
  }
}

/// Reads all replies while the session goes on; until the session has ended or nothing moves.
std::string read_all(Driven& driven) {
  std::string reply;
  for (int idle = 0; idle < 5;) {
    const std::size_t before = reply.size();
    reply += received_now(driven.client());
    const bool turned = !driven.ending() && driven.turn(Deadline::after(10ms));
    idle = turned || reply.size() > before ? 0 : idle + 1;
  }
  return reply;
}

TEST(EventSession, AnswersEachRequest) {
  Driven driven(tests::tcp_pair());
  for (const char* request : {"hello\n", "again"}) {
    ASSERT_TRUE(tests::send_all(driven.client(), request));
    ASSERT_TRUE(driven.turn());
  }
  EXPECT_EQ(tests::receive(driven.client(), 11).data, "HELLO\nAGAIN");
  EXPECT_FALSE(driven.ending());
  EXPECT_EQ(driven.meter().bytes_in.get(), 11U);
  EXPECT_EQ(driven.meter().bytes_out.get(), 11U);
}

TEST(EventSession, HonoursTheHalfClose) {
  Driven driven(tests::tcp_pair());
  ASSERT_TRUE(tests::send_all(driven.client(), "all, then the end\xe2\x82"));
  tests::end_sending(driven.client());
  driven.settle();
  EXPECT_EQ(driven.ending(), Ending::served);
  EXPECT_EQ(tests::receive(driven.client(), 19).data, "ALL, THEN THE END\xe2\x82");
}

TEST(EventSession, ACharacterSplitBetweenReadsWaitsForItsRest) {
  Driven driven(tests::unix_pair());
  ASSERT_TRUE(tests::send_all(driven.client(), "a\xc3"));
  ASSERT_TRUE(driven.turn());
  EXPECT_EQ(received_now(driven.client()), "A");
  ASSERT_TRUE(tests::send_all(driven.client(), "\xa4"));
  ASSERT_TRUE(driven.turn());
  EXPECT_EQ(received_now(driven.client()), "\xc3\x84");
}

TEST(EventSession, AMebibyteInRandomCutsReturnsWhole) {
  std::minstd_rand random(5);
  for (int round = 0; round < tests::soak(2, 100); ++round) {
    SocketPair pair = tests::unix_pair();
    tests::set_tiny_buffers(pair.server.get());
    Driven driven(std::move(pair), {}, Transform::ascii);
    std::string text(1 << 20, ' ');
    for (char& c : text) c = static_cast<char>('A' + random() % 58);
    std::string_view rest = text;
    std::string reply;
    while (!rest.empty()) {
      const ssize_t sent = tests::send_some(driven.client(), rest.substr(0, 1 + random() % 50000));
      ASSERT_GE(sent, 0);
      rest.remove_prefix(static_cast<std::size_t>(sent));
      driven.turn(Deadline::after(0s));
      reply += tests::receive(driven.client(), 1 + random() % 50000, Deadline::after(0s)).data;
    }
    tests::end_sending(driven.client());
    reply += read_all(driven);
    EXPECT_EQ(driven.ending(), Ending::served);
    for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    EXPECT_TRUE(reply == text) << reply.size();
  }
}

TEST(EventSession, OneTurnIsBounded) {
  SocketPair pair = tests::unix_pair();
  const int size = 4 << 20;
  setsockopt(pair.client.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  setsockopt(pair.server.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  Driven driven(std::move(pair));
  const std::string block(65536, 'x');
  std::size_t sent = 0;
  for (ssize_t count = 1; count > 0; sent += static_cast<std::size_t>(count))
    count = tests::send_some(driven.client(), block);
  if (sent < 512 * 1024) GTEST_SKIP() << "socket buffers are too small here";
  ASSERT_TRUE(driven.turn());
  EXPECT_LE(driven.meter().bytes_in.get(), 256U * 1024);
}

TEST(EventSession, AClientThatResetsWasServed) {
  Driven driven(tests::tcp_pair());
  tests::reset_connection(driven.client_socket());
  driven.settle();
  EXPECT_EQ(driven.ending(), Ending::served);
}

TEST(EventSession, AClientThatResetsWhileItDoesNotReadWasServed) {
  Driven driven(tests::tcp_pair(tests::Buffers::tiny));
  send_until_stalled(driven);
  tests::reset_connection(driven.client_socket());
  driven.settle();
  EXPECT_EQ(driven.ending(), Ending::served);
}

TEST(EventSession, ASlowClientGetsEverything) {
  Driven driven(tests::unix_pair());
  const std::size_t sent = send_until_stalled(driven);
  EXPECT_TRUE(read_all(driven) == std::string(sent, 'X'));
  EXPECT_FALSE(driven.session().is_stalled());
}

TEST(EventSession, ASlowClientThatHasEndedGetsEverything) {
  Driven driven(tests::unix_pair());
  const std::size_t sent = send_until_stalled(driven);
  tests::end_sending(driven.client());
  EXPECT_TRUE(read_all(driven) == std::string(sent, 'X'));
  EXPECT_EQ(driven.ending(), Ending::served);
}

// --- Timeouts

struct TimeoutCase {
  const char* name;
  Timeouts timeouts;
  bool speaks;
  Ending ending;
};

class Expiring : public testing::TestWithParam<TimeoutCase> {};
INSTANTIATE_TEST_SUITE_P(
    EventSession, Expiring,
    testing::Values(
        TimeoutCase{"first_byte", {.first_byte = 5s}, false, Ending::first_byte_timeout},
        TimeoutCase{"first_byte_before_idle",
                    {.first_byte = 5s, .idle = 1s},
                    false,
                    Ending::first_byte_timeout},
        TimeoutCase{"idle_from_the_start", {.idle = 5s}, false, Ending::idle_timeout},
        TimeoutCase{"idle", {.first_byte = 1s, .idle = 5s}, true, Ending::idle_timeout},
        TimeoutCase{"lifetime", {.idle = 9s, .lifetime = 5s}, true, Ending::lifetime_timeout}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(Expiring, EndsAtItsTimeAndInOrder) {
  Driven driven(tests::tcp_pair(), GetParam().timeouts);
  if (GetParam().speaks) {
    ASSERT_TRUE(tests::send_all(driven.client(), "x\xe2\x82"));
    ASSERT_TRUE(driven.turn());
  }
  driven.pass(4999ms);
  EXPECT_EQ(received_now(driven.client()), GetParam().speaks ? "X" : "");
  EXPECT_FALSE(tests::readable(driven.client(), Deadline::after(0s)));
  driven.pass(1ms);
  // The bytes of the cut character, then the half-close; late bytes are discarded.
  EXPECT_EQ(tests::receive_to_end(driven.client()), GetParam().speaks ? "\xe2\x82" : "");
  EXPECT_FALSE(driven.ending());
  ASSERT_TRUE(tests::send_all(driven.client(), "late"));
  ASSERT_TRUE(driven.turn());
  EXPECT_FALSE(driven.ending());
  driven.client_socket().reset();
  driven.settle();
  EXPECT_EQ(driven.ending(), GetParam().ending);
}

TEST(EventSession, NoTimeoutUnlessAskedFor) {
  Driven driven(tests::tcp_pair(), {.write = 0s});
  driven.pass(1000h);
  EXPECT_FALSE(driven.ending());
  EXPECT_FALSE(tests::readable(driven.client(), Deadline::after(0s)));
}

TEST(EventSession, EachByteStartsTheIdleTimeAnew) {
  Driven driven(tests::tcp_pair(), {.first_byte = 3s, .idle = 5s});
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(tests::send_all(driven.client(), "x"));
    ASSERT_TRUE(driven.turn());
    EXPECT_EQ(tests::receive(driven.client(), 1).data, "X");
    driven.pass(4s);
  }
  EXPECT_FALSE(tests::readable(driven.client(), Deadline::after(0s)));
}

TEST(EventSession, AClientThatDoesNotRead) {
  Driven driven(tests::tcp_pair(tests::Buffers::tiny), {.idle = 1s, .write = 5s});
  send_until_stalled(driven);
  driven.pass(4999ms);
  EXPECT_FALSE(driven.ending());
  driven.pass(1ms);
  EXPECT_EQ(driven.ending(), Ending::write_timeout);
}

TEST(EventSession, TimeInWhichTheClientWasSlowToReadIsNotIdle) {
  Driven driven(tests::unix_pair(), {.idle = 1s, .write = 10s});
  send_until_stalled(driven);
  driven.pass(5s);
  received_now(driven.client());
  for (int i = 0; i < 100 && driven.session().is_stalled(); ++i) {
    received_now(driven.client());
    driven.turn(Deadline::after(0s));
  }
  ASSERT_FALSE(driven.session().is_stalled());
  driven.pass(0s);  // before the worker has seen that there is more to read
  tests::end_sending(driven.client());
  read_all(driven);
  EXPECT_EQ(driven.ending(), Ending::served);
}

TEST(EventSession, AClientThatStaysAfterItsTimeoutIsLeftWithinABound) {
  Driven driven(tests::tcp_pair(), {.idle = 5s});
  driven.pass(5s);
  driven.pass(900ms);
  EXPECT_FALSE(driven.ending());
  driven.pass(100ms);
  EXPECT_EQ(driven.ending(), Ending::idle_timeout);
}

// --- finish

TEST(EventSession, FinishingAnswersWhatWasReceivedAndDiscardsWhatComesLate) {
  Driven driven(tests::tcp_pair());
  ASSERT_TRUE(tests::send_all(driven.client(), "received in time\xe2"));
  ASSERT_TRUE(tests::readable(driven.session().socket()));
  driven.finish();
  EXPECT_EQ(tests::receive_to_end(driven.client()), "RECEIVED IN TIME\xe2");
  ASSERT_TRUE(tests::send_all(driven.client(), "late"));
  ASSERT_TRUE(driven.turn());
  EXPECT_EQ(driven.meter().bytes_in.get(), 17U);
  driven.client_socket().reset();
  driven.settle();
  EXPECT_EQ(driven.ending(), Ending::drain_timeout);
}

TEST(EventSession, AClientThatHadEndedBeforeTheFinishWasServed) {
  Driven driven(tests::unix_pair());
  ASSERT_TRUE(tests::send_all(driven.client(), "last"));
  tests::end_sending(driven.client());
  driven.finish();
  EXPECT_EQ(driven.ending(), Ending::served);
  EXPECT_EQ(received_now(driven.client()), "LAST");
}

TEST(EventSession, FinishingIsAskedForOften) {
  Driven driven(tests::tcp_pair());
  driven.finish();
  driven.finish();
  EXPECT_EQ(tests::receive_to_end(driven.client()), "");
  driven.pass(500ms);
  driven.finish();
  driven.pass(500ms);
  EXPECT_EQ(driven.ending(), Ending::drain_timeout);
}

/// What waits in the kernel while the client is slow was received as well.
TEST(EventSession, FinishingAnswersWhatWasReceivedToASlowClientToo) {
  Driven driven(tests::unix_pair());
  const std::size_t sent = send_until_stalled(driven);
  ASSERT_LT(driven.meter().bytes_in.get(), sent);
  driven.finish();
  EXPECT_TRUE(read_all(driven) == std::string(sent, 'X'));
  EXPECT_EQ(driven.meter().bytes_in.get(), sent);
  driven.client_socket().reset();
  driven.settle();
  EXPECT_EQ(driven.ending(), Ending::drain_timeout);
}

TEST(EventSession, FinishingReturnsTheBytesOfACutCharacterToASlowClientToo) {
  SocketPair pair = tests::unix_pair();
  tests::set_tiny_buffers(pair.server.get());
  Driven driven(std::move(pair));
  const std::string request = std::string(4000, 'x') + "\xe2\x82";
  std::string reply;
  while (!driven.session().is_stalled()) {
    ASSERT_TRUE(tests::send_all(driven.client(), request));
    ASSERT_TRUE(driven.turn());
  }
  driven.finish();
  reply = read_all(driven);
  EXPECT_TRUE(reply.ends_with("X\xe2\x82")) << reply.size();
  EXPECT_EQ(reply.size(), driven.meter().bytes_in.get());
}

TEST(EventSession, AClientThatNeverReadsCannotHoldUpTheFinish) {
  Driven driven(tests::tcp_pair(tests::Buffers::tiny), {.write = 0s});
  send_until_stalled(driven);
  driven.pass(60s);
  driven.finish();
  driven.pass(999ms);
  EXPECT_FALSE(driven.ending()) << "it has as long as any other";
  driven.pass(1ms);
  EXPECT_EQ(driven.ending(), Ending::drain_timeout);
}

/// A session whose client has ended, and for whose very last bytes there is no room.
std::unique_ptr<Driven> stalled_after_the_end() {
  for (int fill = 1; fill < 100; ++fill) {
    SocketPair pair = tests::unix_pair();
    tests::set_tiny_buffers(pair.server.get());
    auto driven = std::make_unique<Driven>(std::move(pair), Timeouts{.write = 0s});
    for (int i = 0; i < fill && !driven->session().is_stalled(); ++i) {
      tests::send_all(driven->client(), "xxxxxxxxxx");
      driven->turn();
    }
    if (driven->session().is_stalled()) continue;
    tests::send_all(driven->client(), "\xe2\x82");
    tests::end_sending(driven->client());
    while (!driven->ending() && !driven->session().is_stalled()) driven->turn();
    if (!driven->ending()) return driven;
  }
  return nullptr;
}

TEST(EventSession, AClientThatHasEndedAndNeverReadsCannotHoldUpTheFinish) {
  const auto driven = stalled_after_the_end();
  ASSERT_TRUE(driven);
  driven->pass(10s);
  driven->finish();
  driven->pass(999ms);
  EXPECT_FALSE(driven->ending());
  driven->pass(1ms);
  EXPECT_EQ(driven->ending(), Ending::drain_timeout);
}

TEST(EventSession, AClientThatHasEndedGetsItsLastBytesDuringTheFinish) {
  const auto driven = stalled_after_the_end();
  ASSERT_TRUE(driven);
  driven->finish();
  EXPECT_TRUE(read_all(*driven).ends_with("X\xe2\x82"));
  EXPECT_EQ(driven->ending(), Ending::served);
}

TEST(EventSession, AClientThatNeverStopsSendingCannotHoldUpTheFinish) {
  Driven driven(tests::unix_pair());
  const std::string block(4096, 'y');
  driven.finish();
  for (int i = 0; i < 1000 && !driven.ending(); ++i) {
    tests::send_some(driven.client(), block);
    driven.turn(Deadline::after(0s));
    driven.pass(1ms);
  }
  EXPECT_EQ(driven.ending(), Ending::drain_timeout);
}

TEST(EventSessionUnderStress, TheShorterTimeHoldsForFirstByteAndIdleAlone) {
  Driven silent(tests::unix_pair(), {.idle = 1h, .stress = 10s});
  silent.pass(9s);
  silent.pass_under_stress(0s);
  EXPECT_TRUE(silent.session().ending() == std::nullopt);
  silent.pass(30s);
  silent.pass_under_stress(0s);  // it was silent for longer before stress began
  silent.client_socket().reset();
  silent.settle();
  EXPECT_EQ(silent.ending(), Ending::first_byte_timeout);
  Driven idle(tests::unix_pair(), {.idle = 1h, .stress = 10s});
  ASSERT_TRUE(tests::send_all(idle.client(), "x"));
  idle.turn();
  idle.pass_under_stress(9s);
  EXPECT_EQ(idle.ending(), std::nullopt);
  idle.pass_under_stress(1s);
  idle.client_socket().reset();
  idle.settle();
  EXPECT_EQ(idle.ending(), Ending::idle_timeout);
}

}  // namespace
}  // namespace forkecho::server
