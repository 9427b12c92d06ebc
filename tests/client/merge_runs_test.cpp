#include "client/merge_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/sample_comparison.h"

namespace forkecho::client {
namespace {

using testing::ElementsAre;

TEST(AddSlice, ToNothingIsTheSlice) {
  RunResult sum;
  add_slice(sum, sample_slice(100, 1000));
  EXPECT_EQ(sum.target, "127.0.0.1:9001");
  EXPECT_EQ(sum.requests.completed, 100U);
  EXPECT_EQ(sum.achieved_rps, 100);
}

TEST(AddSlice, AddsCountsAndHistograms) {
  RunResult sum;
  RunResult other = sample_slice(300, 2000);
  other.requests.failed = {.timeout = 1, .reset = 2, .cut_short = 3, .other = 4};
  other.connections.failed = {.refused = 5, .timeout = 6, .reset = 7, .other = 8};
  other.verification.mismatched = 9;
  add_slice(sum, sample_slice(100, 1000));
  add_slice(sum, other);
  EXPECT_EQ(sum.requests.completed, 400U);
  EXPECT_EQ(sum.requests.failed.all(), 10U);
  EXPECT_EQ(sum.connections.failed.all(), 26U);
  EXPECT_EQ(sum.verification.mismatched, 9U);
  EXPECT_EQ(sum.totals.bytes_in, 64U * 400);
  EXPECT_EQ(sum.from_intended->count(), 400U);
  EXPECT_EQ(sum.from_send->min(), 1000U);
  EXPECT_EQ(sum.from_send->max(), 2000U);
  EXPECT_EQ(sum.duration_s, 2);
  EXPECT_EQ(sum.achieved_rps, 200);
}

TEST(AddSlice, ContinuesTheTimeline) {
  RunResult sum;
  add_slice(sum, sample_slice(100, 1000));
  add_slice(sum, sample_slice(100, 1000));
  ASSERT_EQ(sum.timeline.size(), 2U);
  EXPECT_EQ(sum.timeline[1].t_s, 2);
}

TEST(AddSlice, KeepsEachReasonOnceAndTheWorstLag) {
  RunResult sum;
  RunResult bad = sample_slice(100, 1000);
  bad.generator = {.valid = false,
                   .reasons = {"generator: a", "generator: b"},
                   .cpu_percent = {100, 80},
                   .lag = Lag{1, 5, 9}};
  add_slice(sum, sample_slice(100, 1000));
  add_slice(sum, bad);
  add_slice(sum, bad);
  EXPECT_FALSE(sum.generator.valid);
  EXPECT_THAT(sum.generator.reasons, ElementsAre("generator: a", "generator: b"));
  EXPECT_NEAR(sum.generator.cpu_percent[0], (50.0 + 100 + 100) / 3, 1e-9);
  ASSERT_TRUE(sum.generator.lag);
  EXPECT_EQ(sum.generator.lag->max_ns, 9U);
}

}  // namespace
}  // namespace forkecho::client
