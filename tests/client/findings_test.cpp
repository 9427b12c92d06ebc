#include "client/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/sample_comparison.h"

namespace forkecho::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Findings, SayWhatAProcessForEveryConnectionCosts) {
  // Rounds of 111 and 90.9 µs against 27.8 and 22.7, and 22.2 and 18.2.
  EXPECT_THAT(
      findings(sample_comparison()),
      ElementsAre(
          "On this machine a process for every connection costs 75.0 µs more than the pool (4.00× "
          "as much; too few rounds to be sure) and 80.0 µs more than the event loop (5.00× as "
          "much; "
          "too few rounds to be sure); one processor is full at "
          "about "
          "10,000 connections per second with it.",
          "A connection costs the server this much processor time: 100 µs in fork, 25.0 µs in "
          "pool-shared and 20.0 µs in event."));
}

TEST(Findings, AreSureWithEnoughRounds) {
  Comparison comparison = sample_comparison();
  comparison.designs = {sample_design("fork", 900, 1100, 0.1, 4),
                        sample_design("event", 1800, 2200, 0.1, 4)};
  EXPECT_THAT(findings(comparison).front(),
              testing::HasSubstr("50.0 µs more than the event loop (2.00× as much); one"));
}

TEST(Findings, SeeNoDifferenceWhereTheIntervalHoldsOne) {
  Comparison comparison = sample_comparison();
  comparison.designs = {sample_design("fork", 900, 1100, 0.1, 4),
                        sample_design("event", 1000, 1000, 0.1, 4)};
  EXPECT_THAT(findings(comparison).front(),
              testing::StartsWith("On this machine a process for every connection costs as much as "
                                  "the event loop: no difference;"));
}

TEST(Findings, CountRequestsWhereConnectionsAreHeld) {
  Comparison comparison = sample_comparison();
  comparison.plan.workload = Workload::rr;
  EXPECT_THAT(findings(comparison).front(),
              testing::HasSubstr("costs, for each request, 75.0 µs more than the pool"));
  EXPECT_THAT(findings(comparison).back(), testing::StartsWith("A request costs the server"));
}

TEST(Findings, SpeakOfRatesWhereTheServersCouldNotBeSeen) {
  Comparison comparison = sample_comparison();
  for (auto& design : comparison.designs) design.server.reset();
  EXPECT_THAT(
      findings(comparison),
      ElementsAre(
          "event handled the most connections, 4,000 per second, 4.00× as many as fork (too "
          "few rounds to be sure)."));
}

TEST(Findings, OfNothingAreNone) {
  EXPECT_THAT(findings(Comparison{}), IsEmpty());
  EXPECT_THAT(notes(Comparison{}), IsEmpty());
}

TEST(Notes, TellWhatSpoilsTheFigures) {
  Comparison comparison = sample_comparison();
  EXPECT_THAT(notes(comparison), IsEmpty());
  comparison.rounds_asked = 5;
  comparison.designs[1].run.requests.failed.reset = 3;
  comparison.designs[2].run.verification.mismatched = 1200;
  comparison.designs[3].rounds_saturated = 2;
  EXPECT_THAT(notes(comparison), ElementsAre("Interrupted: 2 of 5 rounds were made.",
                                             "fork: 3 requests or connections failed.",
                                             "pool-shared: 1,200 replies were wrong.",
                                             "event: in 2 of 2 rounds a processor of the load "
                                             "generator was full: the server alone may do "
                                             "more."));
}

}  // namespace
}  // namespace forkecho::client
