#include "common/mp/connection.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <random>
#include <string>
#include <vector>

#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/kill_at_step.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

using tests::KillCount;
using tests::patience;

constexpr int writers = 3;

/// Every third message is large, so that it crosses as a memory file. The body follows from the
/// rest: what differs from it is torn.
struct Numbered {
  int writer = 0;
  int number = 0;
  std::vector<int> body;

  static Numbered make(int writer, int number) {
    const std::size_t size = number % 3 == 2 ? Connection::inline_limit / sizeof(int) + 1 : number;
    return {writer, number, std::vector<int>(size, writer * 1'000'000 + number)};
  }
  bool whole() const { return body == make(writer, number).body; }
  void encode(Encoder& to) const {
    to.put(writer);
    to.put(number);
    to.put(body);
  }
  static Numbered decode(Decoder& from) {
    return {from.get<int>(), from.get<int>(), from.get<std::vector<int>>()};
  }
};

int send_some(Connection& end, int writer, int messages) {
  for (int i = 0; i < messages; ++i) end.send(Numbered::make(writer, i));
  return 0;
}

/// How many messages of each writer arrived; each must be whole, and in its place.
std::vector<int> receive_all(Connection& end) {
  std::vector<int> next(writers, 0);
  for (;;) {
    if (!end.poll(patience())) {
      ADD_FAILURE() << "no end of file though every writer is gone";
      return next;
    }
    const auto message = end.recv<Numbered>();
    if (!message) return next;
    EXPECT_TRUE(message->whole());
    EXPECT_EQ(message->number, next.at(message->writer)++);
  }
}

/// Several writers on one end; all but the last are killed at `step`. How many messages of each
/// arrived.
std::vector<int> round_of_writers(const std::string& step, const KillCount& kills,
                                  unsigned occurrence, int messages) {
  Pipe pipe(Duplex::no);
  std::vector<pid_t> pids;
  for (int writer = 0; writer < writers; ++writer) {
    pids.push_back(tests::start_child([&] {
      pipe.first.close();
      if (writer + 1 < writers) tests::kill_at_step(step, kills, occurrence);
      return send_some(pipe.second, writer, messages);
    }));
  }
  pipe.second.close();
  const std::vector<int> arrived = receive_all(pipe.first);
  for (const pid_t pid : pids) {
    EXPECT_EQ(tests::exitcode_of(pid), pid == pids.back() ? 0 : -SIGKILL);
  }
  EXPECT_EQ(arrived.back(), messages) << "the survivor lost a message";
  return arrived;
}

/// A step of send, and how many messages of its writer have gone when it is killed there for the
/// n-th time.
struct SendStep {
  const char* name;
  int (*sent)(int occurrence);
};

class ConnectionSenderKilled : public testing::TestWithParam<SendStep> {};

TEST_P(ConnectionSenderKilled, AMessageIsSentWholeOrNotAtAll) {
  PROVES("1.5", "2.1");
  const KillCount kills;
  const int rounds = tests::soak(120, 1200);
  for (int round = 0; round < rounds; ++round) {
    const int occurrence = 1 + round % 4;
    const auto arrived = round_of_writers(GetParam().name, kills, occurrence, 12);
    for (int writer = 0; writer + 1 < writers; ++writer)
      ASSERT_EQ(arrived[writer], GetParam().sent(occurrence)) << "round " << round;
  }
  EXPECT_EQ(kills.count(), unsigned(rounds * (writers - 1)));
}

INSTANTIATE_TEST_SUITE_P(
    Steps, ConnectionSenderKilled,
    testing::Values(SendStep{"connection.send.begin", [](int n) { return n - 1; }},
                    // Messages 2, 5, 8 ... are large.
                    SendStep{"connection.send.file_written", [](int n) { return 3 * n - 1; }},
                    SendStep{"connection.send.sent", [](int n) { return n; }}),
    [](const auto& each) {
      const std::string name = each.param.name;
      return name.substr(name.rfind('.') + 1);
    });

/// Writers that go on until they are killed, after up to two milliseconds.
void round_of_random_kills(std::minstd_rand& random) {
  Pipe pipe(Duplex::no);
  std::vector<pid_t> pids;
  for (int writer = 0; writer < writers; ++writer) {
    pids.push_back(tests::start_child([&] {
      pipe.first.close();
      return send_some(pipe.second, writer, 1'000'000);
    }));
  }
  pipe.second.close();
  std::vector<int> next(writers, 0);
  const auto moment = sys::Deadline::after(std::chrono::microseconds(random() % 2000));
  while (!moment.passed()) {
    if (!pipe.first.poll(moment)) break;
    const auto message = pipe.first.recv<Numbered>();
    ASSERT_TRUE(message && message->whole());
    ASSERT_EQ(message->number, next.at(message->writer)++);
  }
  for (const pid_t pid : pids) kill(pid, SIGKILL);
  for (;;) {
    ASSERT_TRUE(pipe.first.poll(patience()));
    const auto message = pipe.first.recv<Numbered>();
    if (!message) break;
    ASSERT_TRUE(message->whole());
    ASSERT_EQ(message->number, next.at(message->writer)++);
  }
  for (const pid_t pid : pids) ASSERT_EQ(tests::exitcode_of(pid), -SIGKILL);
}

TEST(ConnectionKilled, AtRandomMomentsNoMessageIsTorn) {
  PROVES("1.5");
  std::minstd_rand random(20261121);
  for (int i = 0; i < tests::soak(120, 1500) && !testing::Test::HasFatalFailure(); ++i)
    round_of_random_kills(random);
}

/// Readers on one end, all killed at `step`; then this process reads the rest. How many of
/// `messages` nobody got.
int lost_by_killed_readers(const std::string& step, const KillCount& kills, int messages) {
  Pipe pipe(Duplex::no);
  RawArray<std::atomic<int>> received(messages);
  const auto take = [&] {
    const auto message = pipe.first.recv<Numbered>();
    if (!message) return false;
    EXPECT_TRUE(message->whole());
    received[message->number].fetch_add(1);
    return true;
  };
  std::vector<pid_t> readers;
  for (int reader = 0; reader < 3; ++reader) {
    readers.push_back(tests::start_child([&] {
      pipe.second.close();
      tests::kill_at_step(step, kills, 1 + reader);
      while (take()) continue;
      return 0;
    }));
  }
  // Another writer: this process must read while that one waits for room.
  const pid_t writer = tests::start_child([&] { return send_some(pipe.second, 0, messages); });
  pipe.second.close();
  for (const pid_t reader : readers) EXPECT_EQ(tests::exitcode_of(reader), -SIGKILL);
  while (take()) continue;
  EXPECT_EQ(tests::exitcode_of(writer), 0);
  int lost = 0;
  for (const auto& count : received.all()) {
    EXPECT_LE(count, 1) << "a message was delivered twice";
    lost += count == 0;
  }
  return lost;
}

TEST(ConnectionKilled, AReaderTakesNoMoreThanItsMessageWithIt) {
  PROVES("1.5");
  const int rounds = tests::soak(40, 400);
  for (const auto& [step, lost_each] :
       {std::pair("connection.recv.begin", 0), std::pair("connection.recv.received", 1)}) {
    const KillCount kills;
    for (int round = 0; round < rounds; ++round) {
      const unsigned before = kills.count();
      const int lost = lost_by_killed_readers(step, kills, 30);
      ASSERT_EQ(kills.count() - before, 3u);
      ASSERT_EQ(lost, 3 * lost_each) << step;
    }
  }
}

}  // namespace
}  // namespace forkecho::mp
