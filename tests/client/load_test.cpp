#include "client/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>

#include "client/exit_code.h"
#include "common/mp/process.h"
#include "tests/support/echo_double.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::EchoDouble;
using ::testing::HasSubstr;

LoadPlan short_plan(const std::string& target) {
  LoadPlan plan;
  plan.target = target;
  plan.connections = 5;
  plan.workers = 2;
  plan.duration = 300ms;
  plan.warmup = 100ms;
  return plan;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

TEST(Load, WarmUpIsInTheTotalsAlone) {
  const EchoDouble server;
  const RunResult result = run_load(short_plan(server.target()), nullptr);
  EXPECT_GT(result.requests.completed, 0U);
  EXPECT_GT(result.totals.requests, result.requests.sent);
  EXPECT_EQ(result.connections.opened, 0U);  // all were opened in the warm-up
  EXPECT_EQ(result.totals.connections, 5U);
  EXPECT_EQ(result.totals.connections, server.books().accepted);
  EXPECT_EQ(result.totals.connections, server.books().ended);
  EXPECT_EQ(result.totals.bytes_out, server.books().bytes_in);
  EXPECT_EQ(result.totals.bytes_in, server.books().bytes_out);
  EXPECT_EQ(result.totals.bytes_out, result.totals.requests * 64);
}

TEST(Load, RateIsOfTheMeasuredPart) {
  const EchoDouble server;
  const RunResult result = run_load(short_plan(server.target()), nullptr);
  EXPECT_GE(result.duration_s, 0.3);
  EXPECT_NEAR(result.achieved_rps,
              static_cast<double>(result.requests.completed) / result.duration_s, 1e-6);
  EXPECT_FALSE(result.requested_rps);
  EXPECT_EQ(result.from_intended->count(), result.requests.completed);
  EXPECT_EQ(result.from_intended->max(), result.from_send->max());
}

TEST(Load, NumberOfRequestsIsExact) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  for (const std::uint64_t requests : {1U, 3U, 1000U}) {
    plan.requests = requests;
    EXPECT_EQ(run_load(plan, nullptr).requests.completed, requests);
  }
}

TEST(Load, WorkersAreNeverMoreThanConnections) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.workers = 8;
  plan.connections = 3;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.plan.workers, 3U);
  EXPECT_EQ(result.generator.cpu_percent.size(), 3U);
  EXPECT_EQ(server.books().accepted, 3U);
}

TEST(Load, NothingThereIsSaidAtOnce) {
  const testing::UnansweredTarget nobody;
  const LoadPlan plan = short_plan(nobody.text());
  try {
    run_load(plan, nullptr);
    FAIL() << "nothing can have answered";
  } catch (const NothingAnswered& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("nothing answers at " + plan.target + ": Connection refused"));
  }
}

TEST(Load, MalformedTargetIsTheUsersError) {
  EXPECT_THROW(run_load(short_plan("localhost"), nullptr), MalformedTarget);
}

TEST(Load, ServerThatDiesIsRefusals) {
  EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.duration = 1500ms;
  struct KillAtFirstSecond : Progress {
    EchoDouble& server;
    explicit KillAtFirstSecond(EchoDouble& victim) : server(victim) {}
    void second_passed(const TimelinePoint&) override { server.kill(); }
  } progress(server);
  const RunResult result = run_load(plan, &progress);
  EXPECT_GT(result.connections.failed.refused, 0U);
  EXPECT_LT(result.connections.failed.refused, 500U);  // it does not spin
  EXPECT_EQ(result.requests.sent, result.requests.completed + result.requests.failed.all());
  EXPECT_EQ(result.verification.wrong(), 0U);
  EXPECT_TRUE(result.generator.valid);
  EXPECT_EQ(exit_code(result), exit_failed);
}

TEST(Load, TimelineHasEveryRequestOnce) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.duration = 1200ms;
  struct Count : Progress {
    std::uint64_t seconds = 0;
    void second_passed(const TimelinePoint&) override { ++seconds; }
  } progress;
  const RunResult result = run_load(plan, &progress);
  EXPECT_EQ(progress.seconds, 1U);
  ASSERT_EQ(result.timeline.size(), 2U);
  EXPECT_EQ(result.timeline[0].completed + result.timeline[1].completed, result.requests.completed);
  EXPECT_GE(result.timeline[0].t_s, 1.0);
  EXPECT_GT(result.timeline[0].p50_ns, 0U);
}

TEST(Load, InterruptEndsItEarlyWithAResult) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.duration = 1h;
  struct Interrupt : Progress {
    void second_passed(const TimelinePoint&) override { kill(getpid(), SIGINT); }
  } progress;
  const RunResult result = run_load(plan, &progress);
  EXPECT_TRUE(result.interrupted);
  EXPECT_LT(result.duration_s, 30);
  EXPECT_GT(result.requests.completed, 0U);
  EXPECT_EQ(result.requests.sent, result.requests.completed + result.requests.failed.all());
  EXPECT_EQ(result.totals.connections, server.books().ended);
}

TEST(Load, KilledWorkerMakesItInvalidAndTheSumsStillHold) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.duration = 1200ms;
  struct KillAWorker : Progress {
    void second_passed(const TimelinePoint&) override {
      kill(mp::active_children().back().pid, SIGKILL);
    }
  } progress;
  const RunResult result = run_load(plan, &progress);
  EXPECT_FALSE(result.generator.valid);
  ASSERT_EQ(result.generator.reasons.size(), 1U);
  EXPECT_EQ(result.generator.reasons[0], "generator: load worker 2 was killed by signal 9");
  EXPECT_EQ(result.requests.sent, result.requests.completed + result.requests.failed.all());
  EXPECT_EQ(exit_code(result), exit_invalid);
}

TEST(Load, TooFewDescriptorsAreTheGeneratorsFault) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.connections = 200;
  plan.workers = 1;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  mp::Process limited([plan] {
    const rlimit few{.rlim_cur = 100, .rlim_max = 100};
    setrlimit(RLIMIT_NOFILE, &few);
    const RunResult result = run_load(plan, nullptr);
    const bool told =
        !result.generator.reasons.empty() &&
        result.generator.reasons[0].find("generator: no descriptor") != std::string::npos;
    mp::leave(told ? exit_code(result) : 99);
  });
  limited.start();
  limited.join();
  EXPECT_EQ(limited.exitcode(), exit_invalid);
}

TEST(Load, SilentServerGivesARunByNumberAnEnd) {
  const EchoDouble server({.answer = Answer::never});
  LoadPlan plan = short_plan(server.target());
  plan.requests = 1'000'000;
  plan.timeout = 200ms;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 0U);
  ASSERT_EQ(result.generator.reasons.size(), 1U);
  EXPECT_THAT(result.generator.reasons[0],
              HasSubstr("server: no reply for 5 s: given up after 0 of 1000000 requests"));
  EXPECT_TRUE(result.generator.valid);
  EXPECT_EQ(exit_code(result), exit_failed);
}

TEST(Load, LeavesNoDescriptorAndNoChild) {
  const EchoDouble server;
  const std::size_t before = open_descriptors();
  const std::size_t children_before = mp::active_children().size();
  run_load(short_plan(server.target()), nullptr);
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(mp::active_children().size(), children_before);
}

}  // namespace
}  // namespace forkecho::client
