#include "server/exporter_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "common/mp/reap.h"
#include "server/exit_code.h"
#include "server/process_context.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ExporterPause, WhoLivedForAWhileIsReplacedAtOnce) {
  EXPECT_EQ(next_exporter_pause(5s, 0s), 0s);
  EXPECT_EQ(next_exporter_pause(1h, 60s), 0s);
}

TEST(ExporterPause, DoublesUpToAMinute) {
  std::chrono::milliseconds pause{0};
  for (const int expected :
       {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000})
    EXPECT_EQ(pause = next_exporter_pause(10ms, pause), std::chrono::milliseconds(expected));
}

Metrics figures(std::uint64_t accepted) {
  Metrics metrics;
  metrics.valid = true;
  metrics.state = State::running;
  metrics.books.accepted = accepted;
  return metrics;
}

class ExporterKeeperTest : public testing::Test {
 protected:
  std::string ask(const std::string& path) const {
    const sys::Descriptor client = tests::connect_to(keeper_.listener().address());
    tests::send_all(client.get(), "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return tests::receive_to_end(client.get());
  }
  /// Takes in whoever ended, as the supervisor does.
  bool someone_ended() {
    const auto ended = mp::peek_ended();
    return ended && keeper_.take_ended(ended->pid);
  }

  const pid_t self_ = getpid();
  std::function<void()> first_ = [] {};  // of the exporter
  ExporterKeeper keeper_{open_metrics_listener("127.0.0.1:0"),
                         [this](std::span<const Listener> listeners, const std::string& title) {
                           settle_in(CommonContext{.listeners = listeners, .supervisor = self_},
                                     title);
                           first_();
                         }};
};

TEST_F(ExporterKeeperTest, TheExporterServesWhatIsPublished) {
  keeper_.maintain();
  EXPECT_THAT(ask("/metrics"), StartsWith("HTTP/1.1 503 "));
  keeper_.publish(figures(42));
  const std::string reply = ask("/metrics");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("\nforkecho_connections_accepted_total 42\n"));
  EXPECT_THAT(reply, HasSubstr("\nforkecho_exporters_started_total 1\n"));
  keeper_.publish(figures(43));
  EXPECT_THAT(ask("/metrics"), HasSubstr("\nforkecho_connections_accepted_total 43\n"));
  EXPECT_THAT(ask("/healthz"), testing::EndsWith("\r\n\r\nrunning\n"));
  EXPECT_THAT(ask("/"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(ExporterKeeperTest, SaysWhatItIs) {
  keeper_.maintain();
  keeper_.publish(figures(1));
  EXPECT_THAT(ask("/healthz"), HasSubstr("running"));
  EXPECT_EQ(tests::title_of(keeper_.pid()), "forkechod: exporter, metrics on " + keeper_.address());
}

TEST_F(ExporterKeeperTest, AKilledExporterIsReplaced) {
  keeper_.publish(figures(42));
  keeper_.maintain();
  const pid_t first = keeper_.pid();
  EXPECT_THAT(ask("/healthz"), HasSubstr("running"));
  kill(first, SIGKILL);
  ASSERT_TRUE(tests::eventually(tests::patience(), [&] { return someone_ended(); }));
  EXPECT_EQ(keeper_.pid(), 0);
  ASSERT_TRUE(tests::eventually(tests::patience(), [&] {
    keeper_.maintain();
    return keeper_.pid() != 0;
  }));
  EXPECT_NE(keeper_.pid(), first);
  EXPECT_THAT(ask("/metrics"), HasSubstr("\nforkecho_connections_accepted_total 42\n"));
}

TEST_F(ExporterKeeperTest, OneThatCannotSettleInIsStartedAgainAfterAPause) {
  first_ = [] { mp::leave(setup_failed); };
  keeper_.maintain();
  ASSERT_TRUE(tests::eventually(tests::patience(), [&] { return someone_ended(); }));
  keeper_.maintain();
  EXPECT_EQ(keeper_.pid(), 0);
  EXPECT_EQ(keeper_.started(), 1U);
}

TEST_F(ExporterKeeperTest, AnothersChildIsNotTaken) {
  keeper_.maintain();
  EXPECT_FALSE(keeper_.take_ended(1));
  EXPECT_FALSE(keeper_.take_ended(0));
}

TEST_F(ExporterKeeperTest, ManySlowClientsKeepNobodyOut) {
  keeper_.publish(figures(42));
  keeper_.maintain();
  std::vector<sys::Descriptor> slow;
  for (std::size_t i = 0; i < 3 * most_scrapers; ++i) {
    slow.push_back(tests::connect_to(keeper_.listener().address()));
    tests::send_all(slow.back().get(), "GET /metrics HT");
  }
  EXPECT_THAT(ask("/healthz"), HasSubstr("running"));
}

TEST_F(ExporterKeeperTest, ClientsThatNeverReadKeepNobodyOut) {
  keeper_.publish(figures(42));
  keeper_.maintain();
  std::vector<sys::Descriptor> deaf;
  for (std::size_t i = 0; i < most_scrapers; ++i) {
    deaf.push_back(tests::connect_to(keeper_.listener().address()));
    tests::set_tiny_buffers(deaf.back().get());
    tests::send_all(deaf.back().get(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  EXPECT_THAT(ask("/healthz"), HasSubstr("running"));
  EXPECT_TRUE(tests::sleeps(keeper_.pid()));
}

TEST(OpenMetricsListener, WhatCannotBeIsOneLine) {
  try {
    open_metrics_listener("nonsense");
    ADD_FAILURE() << "opened";
  } catch (const FatalError& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_THAT(error.what(), StartsWith("--metrics: "));
  }
  const Listener taken = open_metrics_listener("127.0.0.1:0");
  try {
    open_metrics_listener(taken.address().to_string());
    ADD_FAILURE() << "opened";
  } catch (const FatalError& error) {
    EXPECT_EQ(error.code(), ExitCode::unavailable);
  }
}

}  // namespace
}  // namespace forkecho::server
