// What every mode must do with one connection, on every kind of listener.
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <random>

#include "tests/support/daemon_under_test.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

// By Python's str.upper(). Characters that grow, shrink and become several are in it.
const std::string text = "straße ŉaïve ﬁn ΐ ǰ ὕπνος ідея ꭰ 𐐨 ıſ\n";
const std::string text_in_capitals = "STRASSE ʼNAÏVE FIN Ϊ́ J̌ ὝΠΝΟΣ ІДЕЯ Ꭰ 𐐀 IS\n";

class Echo : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(Echo, RepliesInCapitalsOnIpv4Ipv6AndUnix) {
  PROVES("3.11");
  const TempDir directory;
  DaemonUnderTest daemon({.arguments = GetParam().arguments,
                          .listen = addresses_for(GetParam(), directory),
                          .control = {},
                          .program = {}});
  ASSERT_EQ(daemon.targets().size(), GetParam().has_own_queues() ? 2U : 3U);
  for (const std::string& target : daemon.targets()) {
    SCOPED_TRACE(target);
    TestClient client(target);
    ASSERT_TRUE(client.connected()) << client.error();
    EXPECT_EQ(client.ask("hello\n").data, "HELLO\n");
    ASSERT_TRUE(client.send(text));
    EXPECT_EQ(client.receive(text_in_capitals.size()).data, text_in_capitals);
  }
  EXPECT_EQ(daemon.stop(), 0);
}

TEST_P(Echo, HonoursTheHalfClose) {
  PROVES("3.11", "3.12");
  DaemonUnderTest daemon(GetParam());
  for (const std::string& request :
       {std::string(), std::string("abc"), std::string(300'000, 'q')}) {
    TestClient client(daemon.target());
    ASSERT_TRUE(client.send(request));
    client.half_close();
    const Reply reply = client.receive_to_end();
    EXPECT_EQ(reply.heard, Heard::end);
    EXPECT_EQ(reply.data.size(), request.size());
    EXPECT_EQ(reply.data.find_first_of("abcq"), std::string::npos);
  }
}

TEST_P(Echo, ACharacterThatTheEndOfTheStreamCutsComesBackAsItIs) {
  DaemonUnderTest daemon(GetParam());
  TestClient client(daemon.target());
  ASSERT_TRUE(client.send("a\xc3"));
  client.half_close();
  const Reply reply = client.receive_to_end();
  EXPECT_EQ(reply.heard, Heard::end);
  EXPECT_EQ(reply.data, "A\xc3");
}

/// Every byte value that is no UTF-8 wherever it stands, among ASCII that capitals leave alone.
std::string no_utf8(std::size_t size) {
  std::mt19937 random(1);
  std::string bytes(size, 0);
  for (char& byte : bytes) {
    const unsigned value = random() & 0xff;
    const bool leads_or_is_small =
        (value >= 0xc2 && value <= 0xf4) || (value >= 'a' && value <= 'z');
    byte = static_cast<char>(leads_or_is_small ? value & 0x1f : value);
  }
  return bytes;
}

TEST_P(Echo, BytesThatAreNoTextComeBackUnlost) {
  DaemonUnderTest daemon(GetParam());
  TestClient client(daemon.target());
  const std::string bytes = no_utf8(200'000);
  ASSERT_TRUE(client.send(bytes));
  client.half_close();
  const Reply reply = client.receive_to_end();
  EXPECT_EQ(reply.heard, Heard::end);
  EXPECT_TRUE(reply.data == bytes) << reply.data.size() << " bytes came back of " << bytes.size();
}

TEST_P(Echo, TransformNoneReturnsArbitraryBytes) {
  DaemonUnderTest daemon(GetParam(), {"--transform", "none"});
  TestClient client(daemon.target());
  std::mt19937 random(2);
  std::string bytes(200'000, 0);
  for (char& byte : bytes) byte = static_cast<char>(random());
  ASSERT_TRUE(client.send(bytes));
  client.half_close();
  EXPECT_TRUE(client.receive_to_end().data == bytes);
}

/// The pieces are so small, and so far apart, that the daemon's reads end within characters.
TEST_P(Echo, AnyCuttingIntoReadsGivesTheSameReply) {
  PROVES("3.12");
  DaemonUnderTest daemon(GetParam());
  TestClient client(daemon.target());
  std::mt19937 random(3);
  for (int round = 0; round < soak(10, 1000); ++round) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t piece = std::min<std::size_t>(1 + random() % 4, text.size() - at);
      ASSERT_TRUE(client.send(std::string_view(text).substr(at, piece)));
      at += piece;
    }
    ASSERT_EQ(client.receive(text_in_capitals.size()).data, text_in_capitals) << "round " << round;
  }
  // One byte, and the next only when the daemon must have read the first: it has answered.
  ASSERT_TRUE(client.send("x\xc3"));
  ASSERT_EQ(client.receive(1).data, "X");
  ASSERT_TRUE(client.send("\xa4"));
  EXPECT_EQ(client.receive(2).data, "\xc3\x84");
}

/// A long stream of small letters whose period is a prime, so that lost or repeated blocks show.
class LongStream {
 public:
  explicit LongStream(std::uint64_t size) : size_(size) {
    for (std::size_t i = 0; i < pattern_size + chunk_size; ++i) {
      small_ += static_cast<char>('a' + i % pattern_size * 7 % 26);
      large_ += static_cast<char>(small_[i] - 32);
    }
  }
  /// The bytes that follow after `offset`, at most one chunk.
  std::string_view to_send(std::uint64_t offset) const { return part(small_, offset, chunk_size); }
  bool is_right(std::uint64_t offset, std::string_view reply) const {
    return part(large_, offset, reply.size()) == reply;
  }
  std::uint64_t size() const { return size_; }

  static constexpr std::size_t chunk_size = 256 * 1024;

 private:
  std::string_view part(const std::string& block, std::uint64_t offset, std::size_t length) const {
    const auto left = static_cast<std::size_t>(std::min<std::uint64_t>(length, size_ - offset));
    return std::string_view(block).substr(offset % pattern_size, left);
  }
  static constexpr std::size_t pattern_size = 65521;
  const std::uint64_t size_;
  std::string small_;
  std::string large_;
};

struct Transfer {
  std::uint64_t sent = 0;
  std::uint64_t right = 0;
  bool ended = false;
};

/// Sends all, half-closes when it is sent, and compares what returns meanwhile.
Transfer transfer(const TestClient& client, const LongStream& stream) {
  Transfer done;
  std::vector<char> buffer(LongStream::chunk_size);
  while (!done.ended) {
    const bool sending = done.sent < stream.size();
    pollfd entry{.fd = client.get(), .events = POLLIN, .revents = 0};
    if (sending) entry.events |= POLLOUT;
    if (poll(&entry, 1, patience().poll_timeout_ms()) != 1) return done;
    if (sending && (entry.revents & POLLOUT) != 0) {
      const std::string_view next = stream.to_send(done.sent);
      const ssize_t sent = send(client.get(), next.data(), next.size(), MSG_NOSIGNAL);
      if (sent > 0) done.sent += static_cast<std::uint64_t>(sent);
      if (done.sent == stream.size()) shutdown(client.get(), SHUT_WR);
    }
    const ssize_t received = recv(client.get(), buffer.data(), buffer.size(), 0);
    if (received < 0 && errno == EAGAIN) continue;
    if (received < 0) return done;
    done.ended = received == 0;
    const std::string_view reply(buffer.data(), static_cast<std::size_t>(received));
    if (!stream.is_right(done.right, reply)) return done;
    done.right += reply.size();
  }
  return done;
}

TEST_P(Echo, ALongStreamFollowedByAHalfCloseReturnsWhole) {
  PROVES("3.12");
  DaemonUnderTest daemon(GetParam());
  const LongStream stream(static_cast<std::uint64_t>(soak(64, 1024)) << 20);
  const auto start = sys::Clock::now();
  const Transfer done = transfer(TestClient(daemon.target()), stream);
  const double seconds = std::chrono::duration<double>(sys::Clock::now() - start).count();
  EXPECT_EQ(done.sent, stream.size());
  EXPECT_EQ(done.right, stream.size());
  EXPECT_TRUE(done.ended);
  std::cout << GetParam().name << ": " << (stream.size() >> 20) << " MiB there and back in "
            << seconds << " s\n";
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->bytes_in, stream.size());
  EXPECT_EQ(books->bytes_out, stream.size());
}

INSTANTIATE_TEST_SUITE_P(Modes, Echo, testing::ValuesIn(all_modes), name_of_mode);

}  // namespace
}  // namespace forkecho::tests
