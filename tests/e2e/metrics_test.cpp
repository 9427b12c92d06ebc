// --metrics: what a scraper sees of the daemon, and that no scraper can do it harm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/metrics_client.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/soak.h"

namespace forkecho::tests {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const Arguments with_metrics{"--metrics", "127.0.0.1:0"};

double sum_of(const Samples& samples, const std::string& prefix) {
  double sum = 0;
  for (const auto& [name, value] : samples)
    if (name.starts_with(prefix)) sum += value;
  return sum;
}

/// promtool's verdict; empty when it finds nothing.
std::string promtool(const std::string& metrics) {
  const TempDir directory;
  write_file(directory.path("metrics"), metrics);
  const Outcome outcome =
      run_program(PROMTOOL_PATH, {"check", "metrics"},
                  {.input = directory.path("metrics"), .before_exec = {}, .own_session = false});
  return outcome.exitcode == 0 ? outcome.out + outcome.err
                               : "exit code " + std::to_string(outcome.exitcode.value_or(-1)) +
                                     ": " + outcome.out + outcome.err;
}

class MetricsOfMode : public testing::TestWithParam<ModeUnderTest> {};

/// What the scraper sees, the status shows and the clients counted is the same.
TEST_P(MetricsOfMode, EqualTheStatusAndTheClientsCount) {
  DaemonUnderTest daemon(GetParam(), with_metrics);
  const std::string target = metrics_target(daemon);
  ClientSwarm swarm(
      {.target = daemon.target(), .holding = GetParam().holds_others_up() ? 0U : 3U, .fresh = 3});
  Samples last;
  for (int round = 0; round < soak(10, 500); ++round) {
    ASSERT_TRUE(swarm.wait_for_replies(20));
    const Samples now = samples_in(body_of(get(target, "/metrics")));
    ASSERT_FALSE(now.empty());
    for (const auto& [name, value] : last) {
      const bool grows = name.find("_total") != std::string::npos ||
                         name.find("_count") != std::string::npos ||
                         name.find("_bucket") != std::string::npos;
      if (grows) {
        EXPECT_GE(now.at(name), value) << name;
      }
    }
    EXPECT_GE(now.at("forkecho_connections_accepted_total"),
              sum_of(now, "forkecho_connections_ended_total"));
    last = now;
  }
  ASSERT_TRUE(swarm.stop());
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  Samples at_rest;
  EXPECT_TRUE(eventually(patience(), [&] {
    at_rest = samples_in(body_of(get(target, "/metrics")));
    return at_rest["forkecho_connections_accepted_total"] == static_cast<double>(books->accepted) &&
           at_rest["forkecho_connections_active"] == 0 &&
           at_rest["forkecho_children_forked_total"] == static_cast<double>(daemon.books().forked);
  }));
  const auto expect = [&](const std::string& name, std::uint64_t value) {
    EXPECT_EQ(at_rest.at(name), static_cast<double>(value)) << name;
  };
  expect("forkecho_connections_accepted_total", swarm.totals().connected);
  expect("forkecho_connections_ended_total{outcome=\"served\"}", books->served);
  expect("forkecho_received_bytes_total", swarm.totals().bytes_received);
  expect("forkecho_sent_bytes_total", swarm.totals().bytes_received);
  const double forks = GetParam().has_acceptor() ? at_rest.at("forkecho_children_forked_total") : 0;
  EXPECT_EQ(at_rest.at("forkecho_fork_duration_seconds_count"), forks);
  EXPECT_EQ(sum_of(at_rest, "forkecho_connections_ended_total"),
            static_cast<double>(books->accepted));
  const auto status = daemon.status();
  const auto& fork_time = status.at("fork_time");
  if (GetParam().has_acceptor()) {
    EXPECT_EQ(fork_time.at("count"), status.at("children").at("forked"));
  } else {
    EXPECT_EQ(fork_time.at("count"), 0);
  }
  if (GetParam().has_acceptor()) {
    EXPECT_GT(fork_time.at("sum_s"), 0);
    EXPECT_GT(at_rest.at("forkecho_fork_duration_seconds_sum"), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, MetricsOfMode, testing::ValuesIn(all_modes), name_of_mode);

TEST(Metrics, AreCleanToPromtool) {
  if (!std::filesystem::exists(PROMTOOL_PATH))
    GTEST_SKIP() << "promtool (of Debian's package prometheus) is not at " << PROMTOOL_PATH
                 << "; ./dev test puts it there where a Debian mirror can be reached";
  DaemonUnderTest daemon(with_metrics);
  const std::string target = metrics_target(daemon);
  EXPECT_EQ(promtool("a_total 1\n").substr(0, 11), "exit code 3");  // it does look
  EXPECT_EQ(promtool(body_of(get(target, "/metrics"))), "");
  EXPECT_EQ(TestClient(daemon.target()).ask("x").data, "X");
  EXPECT_EQ(promtool(body_of(get(target, "/metrics"))), "");
}

TEST(Metrics, ShowTheQueueOfClientsThatWait) {
  const TempDir directory;
  DaemonUnderTest daemon(
      {.arguments = {"--metrics", "127.0.0.1:0", "--max-connections", "1", "--backlog", "7"},
       .listen = {"127.0.0.1:0", "unix:" + directory.path("s")},
       .control = {},
       .program = {}});
  const std::string target = metrics_target(daemon);
  TestClient served(daemon.target());
  ASSERT_EQ(served.ask("x").data, "X");
  std::vector<TestClient> waiting;
  for (int i = 0; i < 3; ++i) waiting.emplace_back(daemon.target());
  waiting.emplace_back(daemon.targets().at(1));
  const auto sample = [&](const std::string& figure, std::size_t listener) {
    return samples_in(
        body_of(get(target, "/metrics")))["forkecho_accept_queue_" + figure + "{listener=\"" +
                                          daemon.targets().at(listener) + "\"}"];
  };
  EXPECT_TRUE(eventually(patience(), [&] { return sample("length", 0) == 3; }));
  EXPECT_TRUE(eventually(patience(), [&] { return sample("length", 1) == 1; }));
  EXPECT_EQ(sample("limit", 0), 7);
  EXPECT_EQ(sample("limit", 1), 7);
  const auto queues = daemon.status().at("accept_queues");
  EXPECT_EQ(queues.at(0).at("length"), 3);
  EXPECT_EQ(queues.at(1).at("length"), 1);
  served.close();
}

TEST(Metrics, ACountKilledWithItsProcessIsNotLost) {
  DaemonUnderTest daemon(mode_named("pool"), with_metrics);
  const std::string target = metrics_target(daemon);
  ClientSwarm swarm({.target = daemon.target(), .holding = 2, .fresh = 2});
  double last = 0;
  for (int round = 0; round < soak(15, 300); ++round) {
    ASSERT_TRUE(swarm.wait_for_replies(10));
    const pid_t exporter = daemon.status().at("metrics").at("pid");
    for (const pid_t worker : daemon.accepting_processes()) {
      if (worker == exporter) continue;
      kill(worker, SIGKILL);
      break;
    }
    const Samples now = samples_in(body_of(get(target, "/metrics")));
    const double accepted = now.at("forkecho_connections_accepted_total");
    EXPECT_GE(accepted, last);
    EXPECT_GE(accepted, sum_of(now, "forkecho_connections_ended_total"));
    last = accepted;
  }
  ASSERT_TRUE(swarm.stop());
  EXPECT_TRUE(eventually(patience(), [&] {
    const Samples now = samples_in(body_of(get(target, "/metrics")));
    return now.at("forkecho_connections_accepted_total") ==
               static_cast<double>(daemon.books().accepted) &&
           now.at("forkecho_connections_ended_total{outcome=\"crashed\"}") ==
               static_cast<double>(daemon.books().crashed);
  }));
}

double exporters_started(const std::string& target) {
  return samples_in(body_of(get(target, "/metrics")))["forkecho_exporters_started_total"];
}

TEST(Exporter, KilledItIsReplacedAndNoClientSeesIt) {
  DaemonUnderTest daemon(with_metrics);
  const std::string target = metrics_target(daemon);
  ClientSwarm swarm({.target = daemon.target(), .holding = 2, .fresh = 2});
  for (int round = 0; round < 3; ++round) {
    ASSERT_THAT(get(target, "/healthz"), HasSubstr("running"));
    const pid_t exporter = daemon.status().at("metrics").at("pid");
    ASSERT_GT(exporter, 0);
    ASSERT_THAT(title_of(exporter), StartsWith("forkechod: exporter"));
    kill(exporter, SIGKILL);
    ASSERT_TRUE(swarm.wait_for_replies(50));
    ASSERT_TRUE(eventually(patience(), [&] {
      const pid_t now = daemon.status().at("metrics").at("pid");
      return now != 0 && now != exporter;
    })) << daemon.log();
  }
  // Its port stayed open all the time: whoever comes is served by the next.
  EXPECT_TRUE(eventually(patience(), [&] { return exporters_started(target) == 4; }));
  ASSERT_TRUE(swarm.stop());
  const ClientCounts clients = swarm.totals();
  EXPECT_EQ(clients.resets + clients.not_connected + clients.wrong + clients.never_answered, 0U);
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Exporter, DiesWithTheSupervisor) {
  DaemonUnderTest daemon(with_metrics);
  const std::string target = metrics_target(daemon);
  EXPECT_THAT(get(target, "/healthz"), HasSubstr("running"));
  const pid_t exporter = daemon.status().at("metrics").at("pid");
  ASSERT_EQ(state_of(exporter), 'S');
  daemon.signal(SIGKILL);
  EXPECT_TRUE(eventually(patience(), [&] { return living_below(daemon.pid()).empty(); }));
  EXPECT_FALSE(TestClient(target).connected());
}

TEST(Exporter, IsThereUntilTheLastConnectionHasEnded) {
  DaemonUnderTest daemon(with_metrics);
  const std::string target = metrics_target(daemon);
  TestClient open(daemon.target());
  ASSERT_EQ(open.ask("x").data, "X");
  daemon.signal(SIGTERM);
  EXPECT_TRUE(
      eventually(patience(), [&] { return get(target, "/healthz").starts_with("HTTP/1.1 503 "); }));
  EXPECT_THAT(get(target, "/healthz"), HasSubstr("draining"));
  EXPECT_EQ(samples_in(body_of(get(target, "/metrics"))).at("forkecho_connections_active"), 1);
  open.close();
  EXPECT_EQ(daemon.wait(), 0);
  EXPECT_FALSE(TestClient(target).connected());
}

TEST(Exporter, HostileScrapersHarmNobody) {
  DaemonUnderTest daemon(with_metrics);
  const std::string target = metrics_target(daemon);
  ClientSwarm swarm({.target = daemon.target(), .holding = 2, .fresh = 2});
  std::vector<TestClient> slow;
  for (int i = 0; i < 300; ++i) {
    slow.emplace_back(target);
    if (i % 3 == 0) slow.back().send("GET /metrics HTTP/1.1\r\n");
    if (i % 3 == 1) slow.back().send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  EXPECT_THAT(http(target, std::string(100000, 'x')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(http(target, std::string(100, '\0')), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(http(target, "GET /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(http(target, "POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(get(target, "/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(get(target, "/metrics"), StartsWith("HTTP/1.1 200 "));
  ASSERT_TRUE(swarm.wait_for_replies(100));
  const pid_t exporter = daemon.status().at("metrics").at("pid");
  // Stopped, it keeps scrapers waiting, and nobody else.
  kill(exporter, SIGSTOP);
  ASSERT_TRUE(swarm.wait_for_replies(100));
  EXPECT_GT(daemon.books().accepted, 0U);
  kill(exporter, SIGCONT);
  slow.clear();
  EXPECT_THAT(get(target, "/metrics"), StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(eventually(patience(), [&] { return exporters_started(target) == 1; }));
  ASSERT_TRUE(swarm.stop());
  const ClientCounts clients = swarm.totals();
  EXPECT_EQ(clients.resets + clients.not_connected + clients.wrong + clients.never_answered, 0U);
}

TEST(Exporter, ServesAUnixSocketAsWell) {
  const TempDir directory;
  DaemonUnderTest daemon({"--metrics", "unix:" + directory.path("metrics")});
  EXPECT_THAT(get("unix:" + directory.path("metrics"), "/metrics"),
              HasSubstr("\nforkecho_state{state=\"running\"} 1\n"));
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(directory.path("metrics")));
}

TEST(Exporter, APortThatIsTakenIsOneLine) {
  DaemonUnderTest first(with_metrics);
  const TempDir directory;
  const Outcome second =
      run_program(forkechod, {"run", "--listen", "127.0.0.1:0", "--control",
                              directory.path("c.sock"), "--metrics", metrics_target(first)});
  EXPECT_EQ(second.exitcode, 69);
  EXPECT_TRUE(is_one_line(second.err)) << second.err;
  EXPECT_THAT(second.err, HasSubstr("--metrics"));
}

}  // namespace
}  // namespace forkecho::tests
