#include "client/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/verdict.h"
#include "tests/support/sample_comparison.h"

namespace forkecho::client {
namespace {

using testing::ElementsAre;

TEST(DesignSlices, SayWhatTheRoundsSay) {
  const DesignResult design = sample_design("fork", 900, 1100, 0.1);
  EXPECT_EQ(design.rate->median, 1000);
  EXPECT_EQ(design.rate->min, 900);
  EXPECT_EQ(design.run.requests.completed, 2000U);
  ASSERT_TRUE(design.server);
  EXPECT_DOUBLE_EQ(design.server->cpu_user_s, 0.05);
  EXPECT_DOUBLE_EQ(*design.server->cpu_us_per_request, 100);  // 0.2 s over 2,000
  EXPECT_NEAR(design.server->cpu_us_per_request_rounds->max, 0.1e6 / 900, 1e-9);
  EXPECT_EQ(design.server->processes, 17U);
  EXPECT_FALSE(design.server->context_switches) << "one slice did not know";
}

TEST(DesignSlices, SayWhatARequestAndAConnectionCost) {
  const ServerFigures figures = *sample_design("fork", 900, 1100, 0.1).server;
  EXPECT_EQ(figures.machine_switches_per_request, 3);  // 6,000 over 2,000
  EXPECT_EQ(figures.forks_per_request, 0.5);
  EXPECT_EQ(figures.fairness, 0.75);
  EXPECT_EQ(figures.pss_bytes_per_connection, 1024.0 * 1024 / 10);
}

TEST(DesignSlices, LeaveOpenWhatOneSliceDoesNotKnow) {
  DesignSlices slices;
  DesignResult design;
  slices.add(
      sample_slice(10, 1000),
      ServerSample{
          .context_switches = {}, .processes = {}, .pss_bytes = {}, .forks = 3, .fairness = 1});
  slices.add(sample_slice(10, 1000),
             ServerSample{.context_switches = {}, .processes = {}, .pss_bytes = {}});
  slices.fill_in(design);
  EXPECT_FALSE(design.server->forks_per_request);
  EXPECT_FALSE(design.server->fairness);
  EXPECT_FALSE(design.server->machine_switches_per_request);
  EXPECT_FALSE(design.server->pss_bytes_per_connection);
}

TEST(RelateToBaseline, TakesProcessControlFromIterative) {
  Comparison comparison = sample_comparison();
  EXPECT_FALSE(comparison.designs[1].process_control_s) << "iterative was not measured";
  comparison.designs[0] = sample_design("iterative", 1000, 1000, 0.02);
  comparison.designs[1] = sample_design("fork", 1000, 1000, 0.1);
  relate_to_baseline(comparison);
  EXPECT_FALSE(comparison.designs[0].process_control_s);
  ASSERT_TRUE(comparison.designs[1].process_control_s);
  // 100 µs against 20 µs, 5,000 times.
  EXPECT_DOUBLE_EQ(comparison.designs[1].process_control_s->median, 0.4);
}

TEST(CostRounds, AreEmptyWhenARoundHasNone) {
  EXPECT_EQ(cost_rounds(sample_design("fork", 1000, 1000, 0.1)).size(), 2U);
  EXPECT_TRUE(cost_rounds(sample_design("fork", 1000, 0, 0.1)).empty());
  EXPECT_TRUE(cost_rounds(DesignResult{}).empty());
}

TEST(DesignSlices, SumContextSwitchesWhenAllAreKnown) {
  DesignSlices slices;
  DesignResult design;
  for (int i = 0; i < 2; ++i) {
    slices.add(sample_slice(10, 1000),
               ServerSample{.context_switches = 21, .processes = {}, .pss_bytes = {}});
  }
  slices.fill_in(design);
  EXPECT_EQ(design.server->context_switches, 42U);
  EXPECT_FALSE(design.server->processes);
}

TEST(DesignSlices, OfAnotherOnesServerHaveNoServerFigures) {
  DesignSlices slices;
  DesignResult design;
  slices.add(sample_slice(10, 1000), std::nullopt);
  slices.fill_in(design);
  EXPECT_FALSE(design.server);
  EXPECT_TRUE(design.rate);
}

TEST(RelateToBaseline, TakesForkOrTheFirstThatWasMeasured) {
  Comparison comparison = sample_comparison();
  EXPECT_EQ(comparison.baseline, "fork");
  EXPECT_FALSE(comparison.designs[0].ratio_to_baseline);
  EXPECT_EQ(comparison.designs[1].ratio_to_baseline->median, 1);
  EXPECT_EQ(comparison.designs[2].ratio_to_baseline->median, 2);
  std::erase_if(comparison.designs, [](const auto& design) { return design.name == "fork"; });
  relate_to_baseline(comparison);
  EXPECT_EQ(comparison.baseline, "pool-shared");
  EXPECT_EQ(choose_baseline({}), "");
}

TEST(ExitCodeOfAComparison, PutsAWrongReplyFirstThenInvalidThenFailures) {
  Comparison comparison = sample_comparison();
  EXPECT_EQ(exit_code(comparison), exit_good);
  comparison.designs[1].run.requests.failed.reset = 1;
  EXPECT_EQ(exit_code(comparison), exit_failed);
  comparison.designs[2].invalid = true;
  EXPECT_EQ(exit_code(comparison), exit_invalid);
  comparison.designs[3].run.verification.mismatched = 1;
  EXPECT_EQ(exit_code(comparison), exit_failed);
}

TEST(ExitCodeOfAComparison, IsNotSpoiltByAFullProcessorOfTheGenerator) {
  DesignSlices slices;
  RunResult full = sample_slice(10, 1000);
  full.generator = judge({.measured_s = 1, .cpu_percent = {99, 50}, .ports_exhausted = 0});
  ASSERT_FALSE(full.generator.valid);
  slices.add(full, std::nullopt);
  Comparison comparison = sample_comparison();
  slices.fill_in(comparison.designs[1]);
  EXPECT_EQ(comparison.designs[1].rounds_saturated, 1U);
  EXPECT_EQ(exit_code(comparison), exit_good);
}

TEST(ExitCodeOfAComparison, IsInvalidWhenPortsRanOut) {
  DesignSlices slices;
  RunResult bad = sample_slice(10, 1000);
  bad.generator = judge({.measured_s = 1, .cpu_percent = {99, 50}, .ports_exhausted = 3});
  slices.add(bad, std::nullopt);
  Comparison comparison = sample_comparison();
  slices.fill_in(comparison.designs[1]);
  EXPECT_TRUE(comparison.designs[1].invalid);
  EXPECT_EQ(exit_code(comparison), exit_invalid);
}

TEST(OrderOfRound, BeginsOneFurtherEachTime) {
  EXPECT_THAT(order_of_round(0, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(order_of_round(1, 3), ElementsAre(1, 2, 0));
  EXPECT_THAT(order_of_round(5, 3), ElementsAre(2, 0, 1));
  EXPECT_THAT(order_of_round(5, 0), ElementsAre());
}

}  // namespace
}  // namespace forkecho::client
