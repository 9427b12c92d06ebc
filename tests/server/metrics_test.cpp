#include "server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace forkecho::server {
namespace {

using testing::HasSubstr;
using testing::Not;

Metrics example() {
  Status status{.pid = 815,
                .mode = Mode::fork,
                .state = State::running,
                .uptime_s = 1,
                .listen = {"127.0.0.1:9001", "unix:/a\"b\\c"},
                .books = {.accepted = 100,
                          .served = 1,
                          .refused = {2, 3, 4, 5},
                          .timed_out = {6, 7, 8, 9, 10},
                          .fork_failed = 11,
                          .crashed = 12,
                          .bytes_in = 1000,
                          .bytes_out = 18446744073709551615U},
                .children = {.forked = 9, .reaped = 4, .idle = 3, .busy = 2},
                .acceptors = {{.number = 1, .pid = 901, .accepted = 60, .active = 20},
                              {.number = 3, .pid = 903, .accepted = 40, .active = 2}},
                .generations = {{.number = 3}, {.number = 2, .draining = true}},
                .accept_queues = {AcceptQueue{.length = 7, .limit = 4096}, std::nullopt},
                .log_lost = 13,
                .access_log_lost = 14,
                .slots = {},
                .slots_omitted = 0};
  status.books.fork_times.buckets[0] = 1;
  status.books.fork_times.buckets[4] = 2;
  status.books.fork_times.buckets[fork_time_bounds] = 4;
  status.books.fork_times.sum_ns = 1'234'567'890;
  Metrics metrics = to_metrics(status);
  metrics.started_at = 1700000000.5;
  metrics.exporters_started = 2;
  return metrics;
}

TEST(Metrics, HaveEveryFigure) {
  const std::string text = to_text(example(), 0.25);
  for (const char* line : {"forkecho_build_info{version=\"" FORKECHO_VERSION "\",mode=\"fork\"} 1",
                           "forkecho_start_time_seconds 1700000000.500",
                           "forkecho_state{state=\"running\"} 1",
                           "forkecho_state{state=\"draining\"} 0",
                           "forkecho_figures_age_seconds 0.250",
                           "forkecho_exporters_started_total 2",
                           "forkecho_connections_accepted_total 100",
                           "forkecho_connections_active 22",
                           "forkecho_acceptor_accepted_total{acceptor=\"1\"} 60",
                           "forkecho_acceptor_accepted_total{acceptor=\"3\"} 40",
                           "forkecho_acceptor_active{acceptor=\"3\"} 2",
                           "forkecho_connections_ended_total{outcome=\"served\"} 1",
                           "forkecho_connections_ended_total{outcome=\"refused\"} 14",
                           "forkecho_connections_ended_total{outcome=\"timed_out\"} 40",
                           "forkecho_connections_ended_total{outcome=\"fork_failed\"} 11",
                           "forkecho_connections_ended_total{outcome=\"crashed\"} 12",
                           "forkecho_connections_refused_total{reason=\"full\"} 2",
                           "forkecho_connections_refused_total{reason=\"per_source\"} 3",
                           "forkecho_connections_refused_total{reason=\"rate\"} 4",
                           "forkecho_connections_refused_total{reason=\"draining\"} 5",
                           "forkecho_connections_timed_out_total{kind=\"first_byte\"} 6",
                           "forkecho_connections_timed_out_total{kind=\"drain\"} 10",
                           "forkecho_received_bytes_total 1000",
                           "forkecho_sent_bytes_total 18446744073709551615",
                           "forkecho_children_forked_total 9",
                           "forkecho_children_reaped_total 4",
                           "forkecho_children{state=\"idle\"} 3",
                           "forkecho_children{state=\"busy\"} 2",
                           "forkecho_generation 3",
                           "forkecho_generations_draining 1",
                           "forkecho_fork_duration_seconds_bucket{le=\"0.00001\"} 1",
                           "forkecho_fork_duration_seconds_bucket{le=\"0.00002\"} 1",
                           "forkecho_fork_duration_seconds_bucket{le=\"0.00016\"} 3",
                           "forkecho_fork_duration_seconds_bucket{le=\"0.16384\"} 3",
                           "forkecho_fork_duration_seconds_bucket{le=\"+Inf\"} 7",
                           "forkecho_fork_duration_seconds_sum 1.234567890",
                           "forkecho_fork_duration_seconds_count 7",
                           "forkecho_accept_queue_length{listener=\"127.0.0.1:9001\"} 7",
                           "forkecho_accept_queue_limit{listener=\"127.0.0.1:9001\"} 4096",
                           "forkecho_log_lines_lost_total{log=\"main\"} 13",
                           "forkecho_log_lines_lost_total{log=\"access\"} 14"}) {
    EXPECT_THAT(text, HasSubstr("\n" + std::string(line) + "\n"));
  }
}

TEST(Metrics, AQueueThatTheKernelDoesNotTellIsLeftOut) {
  EXPECT_THAT(to_text(example(), 0), Not(HasSubstr("/a")));
}

TEST(Metrics, LabelsAreEscaped) {
  Metrics metrics = example();
  metrics.listeners[1].has_queue = true;
  EXPECT_THAT(to_text(metrics, 0), HasSubstr(R"(_length{listener="unix:/a\"b\\c"} 0)"));
}

TEST(Metrics, EveryFamilyIsDescribedOnceBeforeItsSamples) {
  std::istringstream text(to_text(example(), 0));
  std::set<std::string> described;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("# HELP ")) {
      const std::string name = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(described.insert(name).second) << name;
    }
    if (line.starts_with('#')) continue;
    std::string name = line.substr(0, line.find_first_of("{ "));
    if (name.starts_with("forkecho_fork_duration_seconds")) name = "forkecho_fork_duration_seconds";
    EXPECT_TRUE(described.contains(name)) << line;
  }
  EXPECT_EQ(described.size(), 23U);
}

TEST(Metrics, HoldAsManyListenersAsThereCanBe) {
  Status status;
  for (std::size_t i = 0; i < max_listeners + 3; ++i) {
    status.listen.push_back(std::string(200, 'x') + std::to_string(i));
    status.accept_queues.push_back(AcceptQueue{});
  }
  const Metrics metrics = to_metrics(status);
  EXPECT_EQ(metrics.listener_count, max_listeners);
  EXPECT_EQ(metrics.listeners.back().name.back(), '\0');
}

TEST(Health, IsWithinTheDaemonThatRuns) {
  Metrics metrics = example();
  EXPECT_TRUE(is_healthy(metrics, 1));
  EXPECT_FALSE(is_healthy(metrics, 6));
  metrics.state = State::draining;
  EXPECT_FALSE(is_healthy(metrics, 1));
  EXPECT_FALSE(is_healthy(Metrics{}, 0));
}

}  // namespace
}  // namespace forkecho::server
