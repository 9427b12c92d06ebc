#include "client/slo.h"

#include <gtest/gtest.h>

#include "client/run_result.h"

namespace forkecho::client {
namespace {

/// A thousand requests of 1 to 1,000 µs, a tenth of what was asked for missing.
RunResult sample() {
  RunResult run;
  for (std::uint64_t us = 1; us <= 1000; ++us) run.from_intended->record(us * 1000);
  run.requests = {
      .scheduled = 2000, .sent = 1010, .completed = 1000, .shed = 990, .failed = {.timeout = 10}};
  run.planned_rps = 200;
  run.achieved_rps = 180;
  return run;
}

bool held(const char* text, const RunResult& run = sample()) {
  const auto slo = Slo::parse(text);
  EXPECT_TRUE(slo) << text;
  return slo && slo->held_by(run);
}

TEST(Slo, LatencyIsJudgedByItsPercentiles) {
  EXPECT_TRUE(held("p99<991ms"));
  EXPECT_TRUE(held("p99<=990us") || !held("p99<989us"));
  EXPECT_FALSE(held("p99<900us"));
  EXPECT_TRUE(held("p50<=501us"));
  EXPECT_FALSE(held("p50<499us"));
  EXPECT_TRUE(held("p50>499us"));
  EXPECT_TRUE(held("max<=1ms"));
  EXPECT_FALSE(held("max<1ms"));
  EXPECT_TRUE(held("min>=1us"));
  EXPECT_TRUE(held("mean<0.6ms"));
}

TEST(Slo, PercentilesMayBeWrittenWithoutThePoint) {
  const RunResult run = sample();
  for (const auto& [with, without] : {std::pair("p99.9<1s", "p999<1s"),
                                      {"p99.99<1s", "p9999<1s"},
                                      {"p99<1s", "p99.0<1s"},
                                      {"p100<1s", "max<1s"}}) {
    EXPECT_EQ(Slo::parse(with)->value_in(run), Slo::parse(without)->value_in(run)) << with;
  }
  EXPECT_NE(Slo::parse("p9<1s")->value_in(run), Slo::parse("p90<1s")->value_in(run));
}

TEST(Slo, SharesAreInPercent) {
  EXPECT_TRUE(held("errors<0.51%"));
  EXPECT_FALSE(held("errors<0.5%"));
  EXPECT_TRUE(held("errors<=0.5%"));
  EXPECT_TRUE(held("achieved>89.9%"));
  EXPECT_FALSE(held("achieved>90%"));
  EXPECT_TRUE(held("shed<50%"));
  EXPECT_FALSE(held("shed<49%"));
  EXPECT_TRUE(held("rate>=180"));
  EXPECT_FALSE(held("rate>180"));
}

TEST(Slo, FailedConnectionsAreErrors) {
  RunResult run = sample();
  run.connections.failed.refused = 10;
  EXPECT_DOUBLE_EQ(*Slo::parse("errors<1%")->value_in(run), 1);
}

TEST(Slo, ClosedLoopAchievesWhatItAsks) {
  RunResult run = sample();
  run.planned_rps.reset();
  EXPECT_TRUE(held("achieved>99%", run));
}

TEST(Slo, WhatIsNotThereDoesNotHold) {
  const RunResult nothing;
  EXPECT_FALSE(held("p99<1h", nothing));
  EXPECT_FALSE(held("errors<100%", nothing));
  EXPECT_FALSE(Slo::parse("p99<1h")->value_in(nothing));
}

TEST(Slo, OutcomesTellTheValue) {
  const auto outcomes = judge({*Slo::parse("errors<0.1%"), *Slo::parse("achieved>10%")}, sample());
  ASSERT_EQ(outcomes.size(), 2U);
  EXPECT_EQ(outcomes[0].term.text(), "errors<0.1%");
  EXPECT_FALSE(outcomes[0].held);
  EXPECT_DOUBLE_EQ(*outcomes[0].value, 0.5);
  EXPECT_TRUE(outcomes[1].held);
}

TEST(Slo, OtherTextIsNone) {
  for (const char* text :
       {"",           "p99",        "p99<",        "p99<5",    "p99=5ms",     "<5ms",
        "p101<5ms",   "p<5ms",      "px<5ms",      "p99<5ms ", " p99<5ms",    "p99<-5ms",
        "errors<0.1", "errors<5ms", "errors<101%", "errors<%", "errors<nan%", "achieved>1e1%",
        "rate>5%",    "rate>",      "colour<5ms",  "p99<<5ms", "p99<5ms<6ms", "p9.9.9<1s",
        "p-1<1s",     "shed<inf%"}) {
    EXPECT_FALSE(Slo::parse(text)) << text;
  }
}

}  // namespace
}  // namespace forkecho::client
