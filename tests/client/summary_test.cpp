#include "client/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Summary, TimesHaveThreeDigitsAndAUnit) {
  EXPECT_EQ(readable_time(0), "0 ns");
  EXPECT_EQ(readable_time(999), "999 ns");
  EXPECT_EQ(readable_time(1'234), "1.23 µs");
  EXPECT_EQ(readable_time(81'200), "81.2 µs");
  EXPECT_EQ(readable_time(999'400), "999 µs");
  EXPECT_EQ(readable_time(1'000'000), "1.00 ms");
  EXPECT_EQ(readable_time(5'000'000'000), "5.00 s");
  EXPECT_EQ(readable_time(3'600'000'000'000), "3600 s");
}

TEST(Summary, BytesHaveAUnit) {
  EXPECT_EQ(readable_bytes(0), "0 B");
  EXPECT_EQ(readable_bytes(1023), "1023 B");
  EXPECT_EQ(readable_bytes(1536), "1.5 KiB");
  EXPECT_EQ(readable_bytes(std::uint64_t{3} << 30), "3.0 GiB");
}

RunResult good() {
  RunResult result;
  result.target = "127.0.0.1:9001";
  result.duration_s = 10;
  result.requests.sent = result.requests.completed = 1000;
  result.achieved_rps = 100;
  result.verification.checked = 1000;
  result.from_intended->record(2'000'000);
  return result;
}

TEST(Summary, TellsRateLatencyAndVerdict) {
  const std::string text = summary(good());
  EXPECT_THAT(text, HasSubstr("rr 127.0.0.1:9001 (10s), 10 connections"));
  EXPECT_THAT(text, HasSubstr("1000 sent, 1000 completed, 0 failed in 10.00 s"));
  EXPECT_THAT(text, HasSubstr("100 per second"));
  EXPECT_THAT(text, HasSubstr("2.00 ms"));
  EXPECT_THAT(text, HasSubstr("1000 checked to the last byte: all right"));
  EXPECT_THAT(text, HasSubstr("VALID"));
  EXPECT_THAT(text, Not(HasSubstr("INVALID")));
  EXPECT_THAT(text, Not(HasSubstr("first byte")));  // for crr alone
  EXPECT_EQ(text.back(), '\n');
}

TEST(Summary, NamesWhatWentWrong) {
  RunResult result = good();
  result.requests.failed.timeout = 3;
  result.connections.failed.refused = 4;
  result.verification.mismatched = 5;
  result.generator.valid = false;
  result.generator.reasons = {"generator: worker 1 used 98 % of a processor"};
  result.interrupted = true;
  const std::string text = summary(result);
  EXPECT_THAT(text, HasSubstr("3 failed"));
  EXPECT_THAT(text, HasSubstr("3 timeout"));
  EXPECT_THAT(text, HasSubstr("4 refused"));
  EXPECT_THAT(text, HasSubstr("WRONG: 5 mismatched"));
  EXPECT_THAT(text, HasSubstr("INVALID"));
  EXPECT_THAT(text, HasSubstr("generator: worker 1 used 98 %"));
  EXPECT_THAT(text, HasSubstr("ended early by a signal"));
}

TEST(Summary, SaysSoWhenNothingWasCompleted) {
  EXPECT_THAT(summary(RunResult{}), HasSubstr("none: no request was completed"));
}

TEST(Summary, ShowsThePartsOfCrr) {
  RunResult result = good();
  result.plan.workload = Workload::crr;
  result.connect->record(10'000);
  result.close->record(20'000);
  EXPECT_THAT(summary(result), HasSubstr("connect"));
  EXPECT_THAT(summary(result), HasSubstr("20.0 µs"));
}

}  // namespace
}  // namespace forkecho::client
