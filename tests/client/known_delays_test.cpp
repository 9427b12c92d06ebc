// What the client says of a server whose delays are known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "client/exit_code.h"
#include "client/load.h"
#include "tests/support/delay_double.h"
#include "tests/support/soak.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using testing::DelayDouble;

/// Of 100 requests 90 take 2 ms, 9 take 20 ms, and one 80 ms; well mixed.
std::vector<sys::Duration> known_delays() {
  std::vector<sys::Duration> delays;
  for (int i = 0; i < 100; ++i) delays.push_back(i == 50 ? 80ms : i % 11 == 5 ? 20ms : 2ms);
  return delays;
}

std::uint64_t quantile_of(const std::vector<std::uint64_t>& sorted, double quantile) {
  const auto rank =
      static_cast<std::size_t>(std::ceil(quantile * static_cast<double>(sorted.size())));
  return sorted.at(std::max<std::size_t>(rank, 1) - 1);
}

/// How far the client's percentiles are above what the double wrote down; they are never below.
std::uint64_t largest_excess_ns(const LatencyHistogram& latency,
                                const std::vector<std::uint64_t>& taken) {
  std::uint64_t largest = 0;
  for (const double quantile : {0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
    const std::uint64_t told = latency.value_at_quantile(quantile);
    const std::uint64_t real = quantile_of(taken, quantile);
    EXPECT_GE(told, real) << quantile;
    largest = std::max(largest, told > real + real / 1000 ? told - real - real / 1000 : 0);
  }
  return largest;
}

LoadPlan plan_for(const DelayDouble& server) {
  LoadPlan plan;
  plan.target = server.target();
  plan.rate = 400;
  plan.connections = 80;
  plan.workers = 2;
  plan.duration = std::chrono::seconds(tests::soak(1, 10));
  plan.warmup = 0ns;  // so that the double's books are of the same requests
  return plan;
}

// Others may have the processors for a while: one of several runs shows what the client can tell.
// In a soak that is within a millisecond.
TEST(KnownDelays, AreToldWithinAMillisecondAndTheHistogramsResolution) {
  const auto limit = static_cast<std::uint64_t>(tests::soak(20, 1)) * 1'000'000;
  std::uint64_t excess = 0;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const DelayDouble server({.delays = known_delays()});
    const RunResult result = run_load(plan_for(server), nullptr);
    ASSERT_EQ(result.requests.completed, result.requests.scheduled);
    ASSERT_EQ(server.taken_ns().size(), result.requests.completed);
    excess = largest_excess_ns(*result.from_send, server.taken_ns());
    if (excess < limit) return;
  }
  FAIL() << excess << " ns more than the server took, in the last of ten runs";
}

/// A server that takes 5 ms for each request, one at a time, is 200 requests per second; of twice
/// as many asked for, those due t after the start wait t more.
TEST(KnownDelays, QueueGrowsAsComputedFromThePlanAndNotFromTheSend) {
  const DelayDouble server({.delays = {5ms}, .one_at_a_time = true});
  LoadPlan plan = plan_for(server);
  plan.connections = 4;
  plan.duration = 1s;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.scheduled, 400U);
  // Over the second, and the tenth of it to catch up: 220, and the last four.
  EXPECT_LE(result.requests.completed, 225U);
  EXPECT_GE(result.requests.shed, 175U);
  EXPECT_EQ(result.requests.shed_by_generator, 0U);
  EXPECT_GE(result.from_intended->max(), 500'000'000U);
  EXPECT_LE(result.from_send->value_at_quantile(0.5), result.from_intended->value_at_quantile(0.5));
  ASSERT_FALSE(result.generator.reasons.empty());
  EXPECT_THAT(result.generator.reasons.back(), ::testing::HasSubstr(" of 400 requests per second"));
}

TEST(KnownDelays, LateAnswerIsATimeoutAndNeverAnswersTheNextRequest) {
  const DelayDouble server({.delays = {400ms, 0ms}});
  LoadPlan plan = plan_for(server);
  plan.rate = 0;
  plan.connections = plan.workers = 1;
  plan.requests = 6;
  plan.timeout = 200ms;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.failed.timeout, 3U);
  EXPECT_EQ(result.requests.completed, 3U);
  EXPECT_EQ(result.connections.opened, 4U);
  EXPECT_EQ(result.verification.wrong(), 0U);
  EXPECT_EQ(exit_code(result), exit_failed);
}

TEST(KnownDelays, SloIsJudgedByThem) {
  const DelayDouble server({.delays = {20ms}});
  const RunResult result = run_load(plan_for(server), nullptr);
  EXPECT_FALSE(Slo::parse("p50<20ms")->held_by(result));
  EXPECT_TRUE(Slo::parse("min>=20ms")->held_by(result));
  EXPECT_TRUE(Slo::parse("errors<=0%")->held_by(result));
}

}  // namespace
}  // namespace forkecho::client
