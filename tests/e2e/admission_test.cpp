// Who is let in: limits that hold exactly whatever comes at once and whoever is killed, floods that
// hold up nobody else, rates, and what is told of those who were refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <random>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

const std::string flooder = "127.0.0.66";
const std::string neighbour = "127.0.0.2";

std::uint64_t refused_for(DaemonUnderTest& daemon, const char* reason) {
  return daemon.status()["connections"]["refused"][reason];
}

void expect_balance(DaemonUnderTest& daemon) {
  ASSERT_TRUE(daemon.books_at_rest());
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().balance(); }))
      << testing::PrintToString(daemon.books());
}

/// Comes from `count` processes at once, each with `each` connections; who is let in stays until
/// they are told to leave. Returns when everybody knows.
class Storm {
 public:
  Storm(const std::string& target, const std::string& source, std::size_t count, std::size_t each)
      : admitted_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      clients_.emplace_back([this, target, source, i, each] {
        std::vector<TestClient> clients;
        for (std::size_t n = 0; n < each; ++n) clients.emplace_back(target, source);
        unsigned admitted = 0;
        for (TestClient& client : clients) admitted += client.ask("in").data == "IN";
        admitted_[i].store(admitted + 1);
        leave_.pass();
      });
      clients_.back().start();
    }
    EXPECT_TRUE(eventually(patience(), [this] {
      const auto all = admitted_.all();
      return std::all_of(all.begin(), all.end(), [](const auto& known) { return known != 0; });
    }));
  }
  ~Storm() {
    leave_.open();
    for (mp::Process& client : clients_) EXPECT_TRUE(client.join(patience()));
  }
  std::uint64_t admitted() const {
    std::uint64_t sum = 0;
    for (const auto& known : admitted_.all()) sum += known - 1;
    return sum;
  }

 private:
  Gate leave_;
  mp::RawArray<std::atomic<unsigned>> admitted_;  // one more, once known
  std::vector<mp::Process> clients_;
};

class Limits : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(Limits, OfAllIsExactUnderAStorm) {
  DaemonUnderTest daemon(GetParam(), {"--max-connections", "7", "--when-full", "refuse"});
  for (int round = 0; round < soak(3, 100); ++round) {
    {
      const Storm storm(daemon.target(), flooder, 6, 5);
      EXPECT_EQ(storm.admitted(), 7U);
      EXPECT_EQ(daemon.books().active, 7U);
    }
    ASSERT_TRUE(daemon.wait_for_active(0));
  }
  const auto rounds = static_cast<std::uint64_t>(soak(3, 100));
  EXPECT_EQ(refused_for(daemon, "full"), rounds * 23);
  expect_balance(daemon);
}

TEST_P(Limits, OfASourceIsExactUnderAStormAndOthersAreNotTouched) {
  DaemonUnderTest daemon(GetParam(), {"--max-per-source", "3"});
  for (int round = 0; round < soak(3, 100); ++round) {
    {
      const Storm storm(daemon.target(), flooder, 6, 4);
      EXPECT_EQ(storm.admitted(), 3U);
      const Storm other(daemon.target(), neighbour, 1, 3);
      EXPECT_EQ(other.admitted(), 3U);
    }
    ASSERT_TRUE(daemon.wait_for_active(0));
  }
  EXPECT_EQ(refused_for(daemon, "per_source"), static_cast<std::uint64_t>(soak(3, 100)) * 21);
  expect_balance(daemon);
}

TEST_P(Limits, RefusedInOrderAlsoWhenTheClientGoesOnSending) {
  DaemonUnderTest daemon(GetParam(), {"--max-per-source", "1"});
  TestClient served(daemon.target());
  ASSERT_EQ(served.ask("a").data, "A");
  for (int i = 0; i < 5; ++i) {
    TestClient refused(daemon.target());
    ASSERT_TRUE(refused.connected());
    refused.send("what was sent before it knew");
    const Reply reply = refused.receive_to_end();
    EXPECT_EQ(reply.heard, Heard::end);
    refused.send("late");
    EXPECT_EQ(refused.receive_to_end().heard, Heard::end);
  }
  EXPECT_EQ(served.ask("b").data, "B");
  served.close();
  ASSERT_TRUE(daemon.wait_for_active(0));
  EXPECT_EQ(TestClient(daemon.target()).ask("c").data, "C");
  EXPECT_EQ(refused_for(daemon, "per_source"), 5U);
  // One line, however many.
  const std::string log = daemon.log();
  EXPECT_NE(log.find("refused 127.0.0.1:"), std::string::npos) << log;
  EXPECT_EQ(log.find("refused 127.0.0.1:"), log.rfind("refused 127.0.0.1:")) << log;
}

TEST_P(Limits, TheExemptAndUnixClientsHaveNone) {
  const TempDir directory;
  Arguments arguments = GetParam().arguments;
  arguments.insert(arguments.end(), {"--max-per-source", "1", "--exempt", "127.0.0.64/26"});
  DaemonUnderTest daemon({.arguments = arguments,
                          .listen = {"127.0.0.1:0", "unix:" + directory.path("x.sock")},
                          .control = {},
                          .program = {}});
  const Storm exempt(daemon.target(), flooder, 1, 3);
  EXPECT_EQ(exempt.admitted(), 3U);
  std::vector<TestClient> unix_clients;
  for (int i = 0; i < 3; ++i) {
    unix_clients.emplace_back(daemon.targets()[1]);
    EXPECT_EQ(unix_clients.back().ask("in").data, "IN");
  }
  const Storm counted(daemon.target(), neighbour, 1, 3);
  EXPECT_EQ(counted.admitted(), 1U);
}

/// The flood is paced, and never pauses for long; the neighbour asks at its own steady pace.
TEST_P(Limits, AFloodFromOneSourceHoldsUpNobodyElse) {
  DaemonUnderTest daemon(GetParam(), {"--max-per-source", "4"});
  const Storm holding(daemon.target(), flooder, 1, 4);  // all that it may have
  const auto measure = [&](int requests) {
    std::vector<std::chrono::nanoseconds> times;
    for (int i = 0; i < requests; ++i) {
      const auto start = sys::Clock::now();
      TestClient client(daemon.target(), neighbour);
      EXPECT_EQ(client.ask("steady").data, "STEADY") << i;
      times.push_back(sys::Clock::now() - start);
      client.half_close();
      EXPECT_EQ(client.receive_to_end().heard, Heard::end);
      poll(nullptr, 0, 5);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() * 99 / 100];
  };
  const int requests = soak(60, 2000);
  const auto calm = measure(requests);
  mp::Process flood([&] {
    for (;;) {  // some 500 a second
      TestClient client(daemon.target(), flooder);
      client.receive_to_end();
      poll(nullptr, 0, 2);
    }
  });
  flood.set_daemon(true);
  flood.start();
  ASSERT_TRUE(eventually(patience(), [&] { return refused_for(daemon, "per_source") > 10; }));
  const auto flooded = measure(requests);
  flood.kill();
  flood.join();
  EXPECT_GT(refused_for(daemon, "per_source"), 20U);
  if (soak(0, 1) == 1) {
    EXPECT_LE(flooded, std::max<std::chrono::nanoseconds>(2 * calm, 5ms))
        << "calm: " << calm.count();
  }
  testing::Test::RecordProperty("calm_p99_us", std::to_string(calm / 1us));
  testing::Test::RecordProperty("flooded_p99_us", std::to_string(flooded / 1us));
}

TEST_P(Limits, AreWhollyUsableAgainAfterAnythingWasKilled) {
  DaemonUnderTest daemon(
      GetParam(), {"--max-connections", "12", "--max-per-source", "5", "--when-full", "refuse"});
  std::mt19937 random(static_cast<unsigned>(getpid()));
  SCOPED_TRACE("seed " + std::to_string(getpid()));
  for (int round = 0; round < soak(4, 100); ++round) {
    const Storm storm(daemon.target(), flooder, 3, 3);
    const Storm other(daemon.target(), neighbour, 2, 3);
    for (int kills = 0; kills < 4; ++kills) {
      const auto living = living_below(daemon.pid());
      if (!living.empty()) kill(living[random() % living.size()].pid, SIGKILL);
    }
  }
  ASSERT_TRUE(daemon.books_at_rest());
  // Whoever was killed is replaced, after a pause if it was killed too early.
  ASSERT_TRUE(eventually(patience(), [&] {
    return TestClient(daemon.target(), neighbour).ask("back").data == "BACK";
  }));
  ASSERT_TRUE(daemon.wait_for_active(0));
  const Storm storm(daemon.target(), flooder, 3, 3);
  EXPECT_EQ(storm.admitted(), 5U) << daemon.log();
  const Storm other(daemon.target(), neighbour, 3, 3);
  EXPECT_EQ(other.admitted(), 5U);
  const Storm third(daemon.target(), "127.0.0.3", 3, 3);
  EXPECT_EQ(third.admitted(), 2U);
}

/// The children of a dead acceptor are counted until they end.
TEST(LimitsInForkMode, AdoptedChildrenAreCounted) {
  DaemonUnderTest daemon(mode_named("fork"), {"--max-connections", "5", "--max-per-source", "3",
                                              "--when-full", "refuse"});
  {
    const Storm storm(daemon.target(), flooder, 1, 3);
    ASSERT_EQ(storm.admitted(), 3U);
    const auto acceptor = daemon.accepting_processes().at(0);
    kill(acceptor, SIGKILL);
    ASSERT_TRUE(eventually(patience(), [&] {
      const auto now = daemon.accepting_processes();
      return now.size() == 1 && now[0] != acceptor;
    }));
    EXPECT_EQ(Storm(daemon.target(), flooder, 1, 2).admitted(), 0U);
    EXPECT_EQ(Storm(daemon.target(), neighbour, 1, 3).admitted(), 2U);
  }
  ASSERT_TRUE(daemon.wait_for_active(0));
  const Storm storm(daemon.target(), flooder, 1, 4);
  EXPECT_EQ(storm.admitted(), 3U);
}

class Rate : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(Rate, AboveItClientsWaitAndNobodyIsLost) {
  DaemonUnderTest daemon(GetParam(), {"--accept-rate", "40", "--accept-burst", "5"});
  const auto start = sys::Clock::now();
  constexpr int clients = 25;
  std::vector<mp::Process> all;
  for (int i = 0; i < 5; ++i) {
    all.emplace_back([&] {
      for (int n = 0; n < clients / 5; ++n) {
        TestClient client(daemon.target());
        if (client.ask("x").data != "X") mp::leave(1);
      }
    });
    all.back().start();
  }
  for (mp::Process& process : all) {
    ASSERT_TRUE(process.join(patience()));
    EXPECT_EQ(process.exitcode(), 0);
  }
  // Five at once, then one in 25 ms.
  EXPECT_GE(sys::Clock::now() - start, (clients - 5) * 25ms);
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->served, static_cast<std::uint64_t>(clients));
  EXPECT_EQ(books->refused, 0U);
}

TEST_P(Rate, AboveItClientsAreRefusedWhereThatIsAsked) {
  if (GetParam().has_own_queues()) GTEST_SKIP() << "its clients wait in any case";
  DaemonUnderTest daemon(GetParam(), {"--accept-rate", "1", "--accept-burst", "3", "--when-full",
                                      "refuse", "--exempt", "127.0.0.66"});
  const auto start = sys::Clock::now();
  int admitted = 0;
  for (int i = 0; i < 20; ++i) admitted += TestClient(daemon.target()).ask("x").data == "X";
  const auto took = sys::Clock::now() - start;
  EXPECT_GE(admitted, 3);
  EXPECT_LE(admitted, 4 + took / 1s);
  EXPECT_EQ(refused_for(daemon, "rate"), static_cast<std::uint64_t>(20 - admitted));
  EXPECT_EQ(TestClient(daemon.target(), flooder).ask("exempt").data, "EXEMPT");
  expect_balance(daemon);
}

TEST_P(Rate, ADrainEmptiesTheQueueWithoutIt) {
  DaemonUnderTest daemon(GetParam(), {"--accept-rate", "1", "--accept-burst", "1"});
  std::vector<TestClient> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back(daemon.target());
    ASSERT_TRUE(clients.back().send("x"));
    clients.back().half_close();
  }
  daemon.signal(SIGTERM);
  for (TestClient& client : clients) EXPECT_EQ(client.receive_to_end().data, "X");
  EXPECT_EQ(daemon.wait(sys::Deadline::after(20s)), 0);
}

class Stress : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(Stress, SilentClientsAreGivenLessTimeUntilThereIsRoomAgain) {
  DaemonUnderTest daemon(GetParam(), {"--max-connections", "10", "--stress-timeout", "400ms"});
  // Below the mark a silent client has all the time it wants.
  std::vector<TestClient> silent;
  for (int i = 0; i < 7; ++i) {
    silent.emplace_back(daemon.target());
    ASSERT_TRUE(silent.back().send("x"));
  }
  ASSERT_TRUE(daemon.wait_for_active(7));
  EXPECT_EQ(silent[0].receive(1).data, "X");
  EXPECT_EQ(silent[0].receive(1, sys::Deadline::after(700ms)).heard, Heard::timed_out);
  EXPECT_EQ(daemon.status()["stress"], false);
  for (int i = 0; i < 3; ++i) silent.emplace_back(daemon.target());
  // Also those who were there before; each leaves when it hears the end.
  EXPECT_EQ(silent[0].receive_to_end().heard, Heard::end);
  const auto says = [&](const char* text) { return daemon.log().find(text) != std::string::npos; };
  EXPECT_TRUE(says("stress: ")) << daemon.log();
  silent.clear();
  ASSERT_TRUE(daemon.books_at_rest());
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.status()["stress"] == false; }));
  EXPECT_TRUE(eventually(patience(), [&] { return says("stress is over"); }));
  TestClient patient(daemon.target());
  EXPECT_EQ(patient.receive(1, sys::Deadline::after(700ms)).heard, Heard::timed_out);
}

/// A function, since the modes are made before main, and in no order.
auto several_at_once() {
  return testing::Values(mode_named("fork"), mode_named("fork_acceptors"), mode_named("pool"),
                         mode_named("pool_lock"), mode_named("pool_passing"),
                         mode_named("pool_single_use"), mode_named("event"));
}
INSTANTIATE_TEST_SUITE_P(Modes, Limits, several_at_once(), name_of_mode);
INSTANTIATE_TEST_SUITE_P(Modes, Rate, testing::ValuesIn(all_modes), name_of_mode);
INSTANTIATE_TEST_SUITE_P(Modes, Stress, several_at_once(), name_of_mode);

}  // namespace
}  // namespace forkecho::tests
