#include "server/refusal_log.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
constexpr sys::Clock::time_point start{100s};

/// A log with a line from 10.0.0.7.
class Log {
 public:
  std::string at(sys::Clock::duration when, RefusedCounts refused) {
    return log_.note(start + when, refused, [] { return Source{0xffffffff0a000007}; }).value_or("");
  }

 private:
  RefusalLog log_;
};

TEST(RefusalLog, SaysNothingWhenNobodyIsRefused) {
  Log log;
  for (int s = 0; s < 100; ++s) EXPECT_EQ(log.at(s * 1s, {}), "");
}

TEST(RefusalLog, ASingleRefusalHasItsLineAlready) {
  Log log;
  EXPECT_EQ(log.at(0s, {1, 0, 0, 0}), "");
  for (int s = 1; s < 100; ++s) EXPECT_EQ(log.at(s * 1s, {1, 0, 0, 0}), "");
}

TEST(RefusalLog, ManyAreOneLineInTenSeconds) {
  Log log;
  EXPECT_EQ(log.at(0s, {1, 0, 0, 0}), "");
  EXPECT_EQ(log.at(9900ms, {30, 1000, 0, 0}), "");
  EXPECT_EQ(log.at(10s, {34, 1200, 0, 0}),
            "refused 1,234 connections in the last 10 s: full 34, per_source 1,200 (most from "
            "10.0.0.7)");
  EXPECT_EQ(log.at(10100ms, {34, 1200, 5, 0}), "");
  // As long as it goes on, one is enough for a line.
  EXPECT_EQ(log.at(20s, {34, 1200, 6, 0}),
            "refused 6 connections in the last 10 s: rate 6 (most from 10.0.0.7)");
  EXPECT_EQ(log.at(30s, {34, 1200, 7, 0}),
            "refused 1 connection in the last 10 s: rate 1 (most from 10.0.0.7)");
  EXPECT_EQ(log.at(40s, {34, 1200, 7, 0}), "");
  // And then it begins anew.
  EXPECT_EQ(log.at(50s, {35, 1200, 7, 0}), "");
  EXPECT_EQ(log.at(60s, {35, 1200, 7, 0}), "");
  EXPECT_EQ(log.at(69s, {35, 1200, 7, 2}), "");
  EXPECT_EQ(log.at(70s, {35, 1200, 7, 2}),
            "refused 2 connections in the last 10 s: draining 2 (most from 10.0.0.7)");
}

TEST(RefusalLog, FiguresThatFallAreNonsenseAndCountAsNothing) {
  Log log;
  EXPECT_EQ(log.at(0s, {5, 0, 0, 0}), "");
  EXPECT_NE(log.at(10s, {5, 0, 0, 0}), "");
  EXPECT_EQ(log.at(20s, {3, 0, 0, 0}), "");
}

TEST(RefusalSummary, Text) {
  EXPECT_EQ(refusal_summary({1000000, 0, 0, 0}, 11, Source::uncounted),
            "refused 1,000,000 connections in the last 11 s: full 1,000,000");
  EXPECT_EQ(refusal_summary({999, 0, 0, 0}, 10, Source::uncounted),
            "refused 999 connections in the last 10 s: full 999");
}

}  // namespace
}  // namespace forkecho::server
