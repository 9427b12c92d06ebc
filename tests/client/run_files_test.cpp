#include "client/run_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/hdr_encoding.h"
#include "client/interval_log.h"
#include "client/percentile_distribution.h"
#include "tests/support/sample_comparison.h"

namespace forkecho::client {
namespace {

/// Two seconds: 1 µs a hundred times, then 2 µs two hundred times, then nothing.
RunResult two_seconds() {
  RunResult run = sample_slice(100, 1000);
  run.timeline[0].hdr = encode_hdr(to_hdr(*run.from_intended));
  const RunResult second = sample_slice(200, 2000);
  run.from_intended->merge(*second.from_intended);
  run.timeline.push_back(second.timeline[0]);
  run.timeline[1].t_s = 2.5;
  run.timeline[1].hdr = encode_hdr(to_hdr(*second.from_intended));
  run.timeline.push_back({.t_s = 3.5, .errors = 7});
  run.duration_s = 3.5;
  run.connect->record(5);
  return run;
}

TEST(IntervalLogOf, HoldsEveryLatencyByItsClock) {
  const RunResult run = two_seconds();
  const ReadLog log = read_interval_log(interval_log_of(run));
  EXPECT_EQ(log.error, "");
  EXPECT_EQ(sum_of(log.intervals, "from_intended"), to_hdr(*run.from_intended));
  EXPECT_EQ(sum_of(log.intervals, "from_send"), to_hdr(*run.from_send));
  EXPECT_EQ(sum_of(log.intervals, "connect"), to_hdr(*run.connect));
  EXPECT_EQ(sum_of(log.intervals, "close"), std::nullopt) << "nothing was closed";
}

TEST(IntervalLogOf, HasAnIntervalForEachPointOfTheTimeline) {
  const ReadLog log = read_interval_log(interval_log_of(two_seconds()));
  std::vector<LogInterval> timeline;
  for (const LogInterval& interval : log.intervals) {
    if (interval.tag == "from_intended") timeline.push_back(interval);
  }
  ASSERT_EQ(timeline.size(), 2U);
  const double start_s = *parse_utc(two_seconds().started_at);
  EXPECT_NEAR(timeline[0].start_s, start_s, 1e-6);
  EXPECT_NEAR(timeline[1].start_s, start_s + 1, 1e-6);
  EXPECT_NEAR(timeline[1].length_s, 1.5, 1e-9);
  EXPECT_EQ(timeline[1].histogram.count(), 200U);
}

TEST(PercentileTextOf, IsOfTheIntendedStartInMilliseconds) {
  EXPECT_EQ(percentile_text_of(two_seconds()),
            percentile_text(to_hdr(*two_seconds().from_intended), 1e6));
}

TEST(CsvOf, HasARowForEachPoint) {
  EXPECT_EQ(csv_of(two_seconds()),
            "t_s,completed,errors,p50_ns,p99_ns\n"
            "1.000,100,0,1000,1000\n"
            "2.500,200,0,2000,2000\n"
            "3.500,0,7,,\n");
}

TEST(ParseUtc, KnowsTheFormOfARun) {
  EXPECT_EQ(parse_utc("1970-01-01T00:00:00.000Z"), 0);
  EXPECT_EQ(parse_utc("2015-09-09T15:24:39.474Z"), 1441812279.474);
  EXPECT_EQ(parse_utc("2024-02-29T12:00:00.000Z"), 1709208000);
  for (const char* text :
       {"", "2015-09-09T15:24:39Z", "2015-09-09 15:24:39.474Z", "2015-02-29T00:00:00.000Z",
        "2015-09-09T25:24:39.474Z", "2015-09-09T15:24:39.4x4Z"}) {
    EXPECT_EQ(parse_utc(text), std::nullopt) << text;
  }
}

TEST(FormatUtc, IsReadAsTheSame) {
  for (const double seconds : {0.0, 1441812279.474, 1709208000.0, 1899999999.999}) {
    EXPECT_EQ(parse_utc(format_utc(seconds)), seconds);
  }
}

}  // namespace
}  // namespace forkecho::client
