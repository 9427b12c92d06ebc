#include "client/timeline.h"

#include <gtest/gtest.h>

#include "client/hdr_encoding.h"
#include "common/mp/raw_shared.h"

namespace forkecho::client {
namespace {

void complete(WorkerBooks& books, std::uint64_t ns) {
  books.requests_completed.add(1);
  books.latency.record(ns);
}

TEST(Timeline, PointsHoldWhatCameSinceTheLast) {
  const mp::RawArray<WorkerBooks> books(2);
  Timeline timeline(books.all());
  complete(books[0], 100);
  complete(books[1], 300);
  const TimelinePoint first = timeline.add_point(1);
  EXPECT_EQ(first.completed, 2U);
  EXPECT_EQ(first.p50_ns, 100U);
  EXPECT_EQ(first.p99_ns, 300U);
  complete(books[0], 900);
  books[1].requests_reset.add(2);
  const TimelinePoint second = timeline.add_point(2);
  EXPECT_EQ(second.t_s, 2);
  EXPECT_EQ(second.completed, 1U);
  EXPECT_EQ(second.errors, 2U);
  EXPECT_EQ(second.kinds.reset, 2U);
  EXPECT_EQ(second.kinds.all(), 2U);
  EXPECT_EQ(second.p50_ns, 900U);
  EXPECT_EQ(decode_hdr(first.hdr).histogram->count(), 2U);
  EXPECT_EQ(decode_hdr(second.hdr).histogram->max(), 900U);
  EXPECT_EQ(timeline.add_point(3).hdr, "");
}

/// A worker at work may be seen between the one and the other.
TEST(Timeline, ARequestWhoseLatencyIsWrittenCountsThoughItIsNotBookedYet) {
  const mp::RawArray<WorkerBooks> books(1);
  Timeline timeline(books.all());
  books[0].latency.record(100);
  const TimelinePoint first = timeline.add_point(1);
  EXPECT_EQ(first.completed, 1U);
  books[0].requests_completed.add(1);
  timeline.add_rest(2);
  EXPECT_EQ(timeline.points().size(), 1U);
}

TEST(Timeline, RestIsAddedOnlyIfThereIsSome) {
  const mp::RawArray<WorkerBooks> books(1);
  Timeline timeline(books.all());
  timeline.add_rest(0.5);
  EXPECT_TRUE(timeline.points().empty());
  complete(books[0], 5);
  timeline.add_rest(0.7);
  ASSERT_EQ(timeline.points().size(), 1U);
  EXPECT_EQ(timeline.points()[0].completed, 1U);
  timeline.add_rest(0.9);
  EXPECT_EQ(timeline.points().size(), 1U);
}

}  // namespace
}  // namespace forkecho::client
