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

TEST(Verdict, TellsOneLackOnce) {
  EXPECT_EQ(judge({.ports_exhausted = 3, .other_error = EADDRNOTAVAIL}).reasons.size(), 1U);
  EXPECT_EQ(judge({.descriptors_exhausted = 3, .other_error = EMFILE}).reasons.size(), 1U);
}

}  // namespace
}  // namespace forkecho::client
