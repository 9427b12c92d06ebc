#include "client/interval_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/boxed.h"
#include "client/hdr_encoding.h"

namespace forkecho::client {
namespace {

using testing::HasSubstr;

HdrHistogram histogram_of(std::initializer_list<std::uint64_t> values) {
  Boxed<LatencyHistogram> latencies;
  for (const std::uint64_t value : values) latencies->record(value);
  return to_hdr(*latencies);
}

const std::string encoded = encode_hdr(histogram_of({1'500'000}));

TEST(WriteIntervalLog, HasTheLinesOfTheFormat) {
  const std::string text =
      write_interval_log({{"a", 1441812279.5, 1, histogram_of({1'500'000})}}, 1441812279.474);
  EXPECT_THAT(text, HasSubstr("#[StartTime: 1441812279.474 (seconds since epoch)]\n"));
  EXPECT_THAT(text, HasSubstr("#[BaseTime: 1441812279.474 (seconds since epoch)]\n"));
  EXPECT_THAT(text, HasSubstr("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","));
  EXPECT_THAT(text, HasSubstr("\nTag=a,0.026000,1.000000,1.500," + encoded + "\n"));
}

TEST(ReadIntervalLog, ReadsWhatWasWritten) {
  const std::vector<LogInterval> intervals{{"from_intended", 1000.25, 1, histogram_of({1, 7})},
                                           {"", 1001.25, 0.5, histogram_of({2})}};
  const ReadLog log = read_interval_log(write_interval_log(intervals, 1000.25));
  EXPECT_EQ(log.error, "");
  ASSERT_EQ(log.intervals.size(), 2U);
  EXPECT_EQ(log.intervals[0].tag, "from_intended");
  EXPECT_DOUBLE_EQ(log.intervals[0].start_s, 1000.25);
  EXPECT_EQ(log.intervals[0].histogram, intervals[0].histogram);
  EXPECT_EQ(log.intervals[1].tag, "");
  EXPECT_DOUBLE_EQ(log.intervals[1].start_s, 1001.25);
  EXPECT_DOUBLE_EQ(log.intervals[1].length_s, 0.5);
}

TEST(ReadIntervalLog, CountsTimeFromWhereTheLogSays) {
  const std::string line = "2,1,0," + encoded + "\n";
  const auto start_of = [&](const std::string& head) {
    return read_interval_log(head + line).intervals.at(0).start_s;
  };
  EXPECT_EQ(start_of(""), 2);
  EXPECT_EQ(start_of("#[StartTime: 1441812279.5 (seconds since epoch), Wed]\n"), 1441812281.5);
  EXPECT_EQ(start_of("#[StartTime: 3 (seconds since epoch)]\n"), 2) << "they are absolute";
  EXPECT_EQ(start_of("#[StartTime: 1441812279.5 (s)]\n#[BaseTime: 10 (s)]\n"), 12);
}

TEST(ReadIntervalLog, TakesWhatTheFormatLeavesOpen) {
  const ReadLog log = read_interval_log("# a remark\r\n\"StartTimestamp\",\"x\"\r\n\r\n" +
                                        std::string("Tag=A, 0.1, 1.0, 2.0, ") + encoded + " \r");
  ASSERT_EQ(log.intervals.size(), 1U) << log.error;
  EXPECT_EQ(log.intervals[0].tag, "A");
}

TEST(ReadIntervalLog, NamesTheLineAndWhatIsWrong) {
  EXPECT_EQ(read_interval_log("").error, "there is no interval in it");
  EXPECT_EQ(read_interval_log("#[StartTime: soon]\n").error,
            "line 1: its time is no number of seconds");
  for (const char* line : {"x", "1,2", "nan,1,1,", "1,-1,1,", "1e300,1,1,", "Tag=A,1"}) {
    EXPECT_THAT(read_interval_log(line + encoded).error,
                testing::StartsWith("line 1: it is not of the form"))
        << line;
  }
  EXPECT_EQ(read_interval_log("1,1,1," + encoded + "\n2,1,1,HISTFAAA").error,
            "line 2: its histogram cannot be read: it is cut short");
  EXPECT_EQ(read_interval_log("Tag=a b,1,1,1," + encoded).error,
            "line 1: there is a blank in its tag");
}

TEST(MergeLogs, AddsTheSameIntervalsAndKeepsTheOthers) {
  const LogInterval one{"a", 10, 1, histogram_of({1})};
  const LogInterval later{"a", 11, 1, histogram_of({3})};
  const LogInterval tagged{"b", 10, 1, histogram_of({4})};
  LogInterval other = one;
  other.histogram = {.layout = {.digits = 2}, .buckets = {{1, 1}}};
  const auto merged =
      merge_logs({later, one, other, tagged, {"a", 10, 1, histogram_of({2})}, other});
  ASSERT_EQ(merged.size(), 4U);
  EXPECT_EQ(merged[0].histogram, histogram_of({1, 2}));
  EXPECT_EQ(merged[1].histogram.count(), 2U);
  EXPECT_EQ(merged[1].histogram.layout.digits, 2U);
  EXPECT_EQ(merged[2].tag, "b");
  EXPECT_EQ(merged[3].start_s, 11);
}

TEST(SumOf, IsEverythingOfATag) {
  const std::vector<LogInterval> intervals{{"a", 10, 1, histogram_of({1})},
                                           {"b", 10, 1, histogram_of({2})},
                                           {"a", 11, 1, histogram_of({3})}};
  EXPECT_EQ(sum_of(intervals, "a"), histogram_of({1, 3}));
  EXPECT_EQ(sum_of(intervals, "c"), std::nullopt);
}

}  // namespace
}  // namespace forkecho::client
