#include "client/exit_code.h"

#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

RunResult good() {
  RunResult result;
  result.requests.sent = result.requests.completed = 10;
  return result;
}

TEST(ExitCode, GoodRunIsZero) {
  EXPECT_EQ(exit_code(good()), 0);
}

TEST(ExitCode, AnyWrongReplyIsOne) {
  for (auto kind : {&Verification::mismatched, &Verification::cut_short, &Verification::extra}) {
    RunResult result = good();
    result.verification.*kind = 1;
    EXPECT_EQ(exit_code(result), 1);
  }
}

TEST(ExitCode, AnyFailedRequestOrConnectionIsOne) {
  for (auto kind : {&RequestCounts::Failed::timeout, &RequestCounts::Failed::reset,
                    &RequestCounts::Failed::cut_short, &RequestCounts::Failed::other}) {
    RunResult result = good();
    result.requests.failed.*kind = 1;
    EXPECT_EQ(exit_code(result), 1);
  }
  for (auto kind : {&ConnectionCounts::Failed::refused, &ConnectionCounts::Failed::timeout,
                    &ConnectionCounts::Failed::reset, &ConnectionCounts::Failed::other}) {
    RunResult result = good();
    result.connections.failed.*kind = 1;
    EXPECT_EQ(exit_code(result), 1);
  }
}

TEST(ExitCode, InvalidComesAfterAWrongReplyAndBeforeAFailure) {
  RunResult result = good();
  result.generator.valid = false;
  EXPECT_EQ(exit_code(result), 2);
  result.requests.failed.timeout = 1;
  EXPECT_EQ(exit_code(result), 2);
  result.verification.extra = 1;
  EXPECT_EQ(exit_code(result), 1);
}

TEST(ExitCode, MissedSloIsOneButComesAfterInvalid) {
  RunResult result = good();
  result.slos = {{.term = *Slo::parse("p99<5ms"), .held = true}};
  EXPECT_EQ(exit_code(result), 0);
  result.slos.push_back({.term = *Slo::parse("max<5ms"), .held = false});
  EXPECT_EQ(exit_code(result), 1);
  result.generator.valid = false;
  EXPECT_EQ(exit_code(result), 2);
}

TEST(ExitCode, ErrorsTermAllowsWhatItHolds) {
  RunResult result = good();
  result.requests.failed.reset = 1;
  result.connections.failed.refused = 1;
  result.slos = {{.term = *Slo::parse("p99<5ms"), .held = true}};
  EXPECT_EQ(exit_code(result), 1);
  result.slos.push_back({.term = *Slo::parse("errors<50%"), .held = true});
  EXPECT_EQ(exit_code(result), 0);
  result.verification.mismatched = 1;
  EXPECT_EQ(exit_code(result), 1);
}

TEST(ExitCode, RunThatCompletedNothingIsNoSuccess) {
  EXPECT_EQ(exit_code(RunResult{}), 1);
}

}  // namespace
}  // namespace forkecho::client
