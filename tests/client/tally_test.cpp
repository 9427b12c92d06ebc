#include "client/tally.h"

#include <gtest/gtest.h>

#include "common/mp/raw_shared.h"

namespace forkecho::client {
namespace {

using Books = mp::RawArray<WorkerBooks>;

TEST(Tally, AddsUpAllWorkers) {
  const Books books(2);
  books[0].requests_sent.add(5);
  books[1].requests_sent.add(7);
  books[0].requests_completed.add(5);
  books[1].requests_completed.add(4);
  books[1].requests_timed_out.add(2);
  books[1].requests_short.add(1);
  const RequestCounts counts = tally_requests(books.all());
  EXPECT_EQ(counts.scheduled, 12U);
  EXPECT_EQ(counts.sent, 12U);
  EXPECT_EQ(counts.completed, 9U);
  EXPECT_EQ(counts.failed.timeout, 2U);
  EXPECT_EQ(counts.failed.cut_short, 1U);
  EXPECT_EQ(counts.failed.all(), 3U);
}

TEST(Tally, WhatAKilledWorkerOwesIsAFailure) {
  const Books books(1);
  books[0].requests_sent.add(10);
  books[0].requests_completed.add(6);
  books[0].requests_reset.add(1);
  const RequestCounts counts = tally_requests(books.all());
  EXPECT_EQ(counts.failed.other, 3U);
  EXPECT_EQ(counts.sent, counts.completed + counts.failed.all());
}

TEST(Tally, ShedHasTwoReasons) {
  const Books books(2);
  books[0].requests_sent.add(10);
  books[0].requests_completed.add(10);
  books[0].shed_by_server.add(3);
  books[1].shed_by_generator.add(2);
  const RequestCounts counts = tally_requests(books.all());
  EXPECT_EQ(counts.shed, 5U);
  EXPECT_EQ(counts.shed_by_generator, 2U);
  EXPECT_EQ(counts.scheduled, 15U);
}

TEST(Tally, WhatAKilledWorkerHadNotSentIsShedByTheGenerator) {
  const Books books(2);
  for (WorkerBooks& worker : books.all()) {
    worker.requests_sent.add(10);
    worker.requests_completed.add(10);
  }
  books[1].ended.set(1);
  const std::vector<std::uint64_t> planned{50, 0};
  const RequestCounts counts = tally_requests(books.all(), planned);
  EXPECT_EQ(counts.scheduled, 60U);
  EXPECT_EQ(counts.shed_by_generator, 40U);
}

TEST(Tally, WaitingForAProcessorIsWantingOne) {
  const Books books(1);
  books[0].measured_from_ns.set(1000);
  books[0].measured_until_ns.set(2000);
  books[0].cpu_until_ns.set(300);
  books[0].run_wait_from_ns.set(100);
  books[0].run_wait_until_ns.set(600);
  EXPECT_EQ(cpu_percent(books.all()).front(), 30);
  EXPECT_EQ(wanted_cpu_percent(books.all()).front(), 80);
  EXPECT_FALSE(machine_busy_percent(books.all()));
  books[0].machine_all_from.set(100);
  books[0].machine_all_until.set(300);
  books[0].machine_busy_until.set(150);
  EXPECT_EQ(machine_busy_percent(books.all()), 75);
}

TEST(Tally, EachCounterHasItsPlace) {
  const Books books(1);
  WorkerBooks& worker = books[0];
  worker.connections_opened.add(1);
  worker.connections_refused.add(2);
  worker.connections_timed_out.add(3);
  worker.connections_reset.add(4);
  worker.connections_other.add(5);
  worker.replies_checked.add(6);
  worker.replies_mismatched.add(7);
  worker.replies_short.add(8);
  worker.replies_extra.add(9);
  worker.total_connections.add(10);
  worker.total_requests.add(11);
  worker.total_bytes_out.add(12);
  worker.total_bytes_in.add(13);
  const ConnectionCounts connections = tally_connections(books.all());
  EXPECT_EQ(connections.opened, 1U);
  EXPECT_EQ(connections.failed.refused, 2U);
  EXPECT_EQ(connections.failed.timeout, 3U);
  EXPECT_EQ(connections.failed.reset, 4U);
  EXPECT_EQ(connections.failed.other, 5U);
  const Verification verification = tally_verification(books.all());
  EXPECT_EQ(verification.checked, 6U);
  EXPECT_EQ(verification.mismatched, 7U);
  EXPECT_EQ(verification.cut_short, 8U);
  EXPECT_EQ(verification.extra, 9U);
  const Totals totals = tally_totals(books.all());
  EXPECT_EQ(totals.connections, 10U);
  EXPECT_EQ(totals.requests, 11U);
  EXPECT_EQ(totals.bytes_out, 12U);
  EXPECT_EQ(totals.bytes_in, 13U);
}

TEST(Tally, ErrorsAreCountedOnce) {
  const Books books(1);
  books[0].replies_short.add(1);  // of the request that failed short
  books[0].requests_short.add(1);
  books[0].replies_mismatched.add(1);
  books[0].connections_refused.add(1);
  EXPECT_EQ(tally_errors(books.all()), 3U);
}

TEST(Tally, ProcessorTimeIsOfTheMeasuredPart) {
  const Books books(2);
  books[0].measured_from_ns.set(1'000);
  books[0].measured_until_ns.set(3'000);
  books[0].cpu_from_ns.set(500);
  books[0].cpu_until_ns.set(1'500);
  const auto percents = cpu_percent(books.all());
  ASSERT_EQ(percents.size(), 2U);
  EXPECT_DOUBLE_EQ(percents[0], 50);
  EXPECT_DOUBLE_EQ(percents[1], 0);
}

TEST(Tally, MergesTheHistogramsOfAll) {
  const Books books(2);
  books[0].connect.record(10);
  books[1].connect.record(30);
  Boxed<LatencyHistogram> all;
  merge_all(books.all(), &WorkerBooks::connect, *all);
  EXPECT_EQ(all->count(), 2U);
  EXPECT_EQ(all->max(), 30U);
}

}  // namespace
}  // namespace forkecho::client
