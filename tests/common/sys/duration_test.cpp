#include "common/sys/duration.h"

#include <gtest/gtest.h>

namespace forkecho::sys {
namespace {

using namespace std::chrono_literals;

TEST(Duration, ReadsEveryUnit) {
  EXPECT_EQ(parse_duration("250ns"), 250ns);
  EXPECT_EQ(parse_duration("7us"), 7us);
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("1.5h"), 90min);
}

TEST(Duration, NeedsAUnitUnlessItIsZero) {
  EXPECT_EQ(parse_duration("0"), 0ns);
  EXPECT_FALSE(parse_duration("30"));
}

TEST(Duration, RefusesWhatIsNoDuration) {
  for (const char* text : {"", "s", "-1s", "-0s", "1 s", "1s ", "1d", "nan", "inf", "infs", "1e3s",
                           "0x1s", "999999999h"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, FormatsWhatParseReadsBack) {
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(30s), "30s");
  EXPECT_EQ(format_duration(120s), "2m");
  EXPECT_EQ(format_duration(0ns), "0");
  for (const Duration duration : {Duration(1ns), Duration(90min), Duration(1234567ns)}) {
    EXPECT_EQ(parse_duration(format_duration(duration)), duration);
  }
}

}  // namespace
}  // namespace forkecho::sys
