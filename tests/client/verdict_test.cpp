#include "client/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace forkecho::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Verdict, QuietGeneratorIsValid) {
  const GeneratorVerdict verdict = judge({.measured_s = 10, .cpu_percent = {40, 95}});
  EXPECT_TRUE(verdict.valid);
  EXPECT_THAT(verdict.reasons, IsEmpty());
  EXPECT_THAT(verdict.cpu_percent, ElementsAre(40, 95));
  EXPECT_FALSE(verdict.lag);
}

TEST(Verdict, BusyWorkerMayBeTheLimit) {
  const GeneratorVerdict verdict = judge({.measured_s = 10, .cpu_percent = {40, 97.6}});
  EXPECT_FALSE(verdict.valid);
  EXPECT_THAT(
      verdict.reasons,
      ElementsAre(
          "generator: worker 2 used 98 % of a processor: it, not the server, may be the limit"));
}

TEST(Verdict, BurstIsNotJudged) {
  EXPECT_TRUE(judge({.measured_s = 0.4, .cpu_percent = {100}}).valid);
}

TEST(Verdict, WhatTheGeneratorLacksMakesItInvalid) {
  EXPECT_THAT(judge({.ports_exhausted = 3}).reasons,
              ElementsAre(HasSubstr("generator: no free local port for 3")));
  EXPECT_FALSE(judge({.ports_exhausted = 1}).valid);
  EXPECT_THAT(judge({.descriptors_exhausted = 2}).reasons,
              ElementsAre(HasSubstr("generator: no descriptor for 2")));
  EXPECT_FALSE(judge({.descriptors_exhausted = 1}).valid);
  EXPECT_THAT(judge({.conntrack_exhausted = true}).reasons,
              ElementsAre(HasSubstr("nf_conntrack_max")));
  EXPECT_FALSE(judge({.conntrack_exhausted = true}).valid);
  EXPECT_THAT(judge({.dead_workers = {"load worker 1 was killed by signal 9"}}).reasons,
              ElementsAre("generator: load worker 1 was killed by signal 9"));
}

TEST(Verdict, WhatTheServerDoesNeverMakesItInvalid) {
  const GeneratorVerdict verdict =
      judge({.other_error = EHOSTUNREACH, .given_up = "no reply for 10 s"});
  EXPECT_TRUE(verdict.valid);
  EXPECT_THAT(verdict.reasons,
              ElementsAre(HasSubstr("server: connections failed: No route to host"),
                          "server: no reply for 10 s"));
}

GeneratorEvidence open_loop() {
  return {.measured_s = 10,
          .cpu_percent = {20, 20},
          .open_loop = {{.planned_rps = 1000,
                         .achieved_rps = 1000,
                         .scheduled = 10'000,
                         .completed = 10'000,
                         .lag = {.p50_ns = 50'000, .p99_ns = 900'000, .max_ns = 90'000'000},
                         .latency_p99_ns = 2'000'000}},
          .wanted_cpu_percent = {30, 30},
          .machine_busy_percent = 40};
}

TEST(Verdict, OpenLoopThatKeptItsPlanIsValidAndHasItsLag) {
  const GeneratorVerdict verdict = judge(open_loop());
  EXPECT_TRUE(verdict.valid);
  EXPECT_THAT(verdict.reasons, IsEmpty());
  ASSERT_TRUE(verdict.lag);
  EXPECT_EQ(verdict.lag->p99_ns, 900'000U);
  EXPECT_EQ(verdict.machine_busy_percent, 40);
}

TEST(Verdict, LagIsTooMuchOverAMillisecondAndATenthOfTheLatency) {
  GeneratorEvidence evidence = open_loop();
  evidence.open_loop->lag.p99_ns = 1'100'000;
  EXPECT_THAT(
      judge(evidence).reasons,
      ElementsAre(HasSubstr("generator: 1 % of the requests were sent more than 1.1 ms later")));
  EXPECT_FALSE(judge(evidence).valid);
  evidence.open_loop->latency_p99_ns = 20'000'000;
  EXPECT_TRUE(judge(evidence).valid);
}

TEST(Verdict, LagOfAFewRequestsIsNotJudged) {
  GeneratorEvidence evidence = open_loop();
  evidence.open_loop->lag.p99_ns = 1'100'000;
  evidence.open_loop->completed = 99;
  EXPECT_TRUE(judge(evidence).valid);
}

TEST(Verdict, ShedWithAFreeConnectionIsTheGeneratorsFault) {
  GeneratorEvidence evidence = open_loop();
  evidence.open_loop->shed_by_generator = 100;
  EXPECT_TRUE(judge(evidence).valid);
  evidence.open_loop->shed_by_generator = 101;
  EXPECT_FALSE(judge(evidence).valid);
  EXPECT_THAT(judge(evidence).reasons.front(),
              HasSubstr("generator: 1.0 % of the requests were never"));
}

TEST(Verdict, FrozenServerIsNotTheGeneratorsFault) {
  GeneratorEvidence evidence = open_loop();
  evidence.open_loop->shed_by_server = 9'000;
  evidence.open_loop->achieved_rps = 100;
  evidence.machine_busy_percent = 100;  // somebody else's work
  evidence.wanted_cpu_percent = {1, 1};
  const GeneratorVerdict verdict = judge(evidence);
  EXPECT_TRUE(verdict.valid);
  EXPECT_THAT(verdict.reasons,
              ElementsAre(HasSubstr("server: 100 of 1000 requests per second; 90.0 %")));
}

TEST(Verdict, FullMachineThatMissesThePlanIsInvalidAndNamed) {
  GeneratorEvidence evidence = open_loop();
  evidence.open_loop->shed_by_server = 9'000;
  evidence.open_loop->achieved_rps = 100;
  evidence.machine_busy_percent = 99;
  const GeneratorVerdict verdict = judge(evidence);
  EXPECT_FALSE(verdict.valid);
  EXPECT_TRUE(verdict.processor_full);
  EXPECT_THAT(verdict.reasons,
              ElementsAre(HasSubstr(
                  "generator: 100 of 1000 requests per second: this machine's processors")));
}

TEST(Verdict, FullMachineThatKeepsThePlanIsValid) {
  GeneratorEvidence evidence = open_loop();
  evidence.machine_busy_percent = 100;
  EXPECT_TRUE(judge(evidence).valid);
}

TEST(Verdict, PoissonThatIsNoneIsWarnedOfWhereItWasPlanned) {
  GeneratorEvidence evidence = open_loop();
  EXPECT_EQ(arrivals_warning(evidence), "");
  evidence.open_loop->poisson = AndersonDarling{.count = 1000, .a_squared = 400, .p = 0};
  EXPECT_EQ(arrivals_warning(evidence), "");
  evidence.open_loop->is_poisson = true;
  EXPECT_THAT(arrivals_warning(evidence), HasSubstr("not sent quite as the Poisson process"));
  EXPECT_TRUE(judge(evidence).valid);
  EXPECT_EQ(judge(evidence).poisson->a_squared, 400);
  evidence.open_loop->poisson->p = 0.002;
  EXPECT_EQ(arrivals_warning(evidence), "");
}

TEST(Verdict, TellsOneLackOnce) {
  EXPECT_EQ(judge({.ports_exhausted = 3, .other_error = EADDRNOTAVAIL}).reasons.size(), 1U);
  EXPECT_EQ(judge({.descriptors_exhausted = 3, .other_error = EMFILE}).reasons.size(), 1U);
}

}  // namespace
}  // namespace forkecho::client
