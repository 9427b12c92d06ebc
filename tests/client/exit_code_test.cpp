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

TEST(ExitCode, RunThatCompletedNothingIsNoSuccess) {
  EXPECT_EQ(exit_code(RunResult{}), 1);
}

}  // namespace
}  // namespace forkecho::client
