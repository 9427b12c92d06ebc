#include "server/believed_book.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <limits>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

class BelievedBookTest : public testing::Test {
 protected:
  const BookTotals& look(const BookTotals& claimed, sys::Duration later = 1ms) {
    now_ += later;
    return believed_.look(claimed, now_);
  }
  static constexpr std::uint64_t most_open = 10;
  BelievedBook believed_{most_open};
  sys::Clock::time_point now_ = sys::Clock::now();
};

BookTotals nonsense(std::uint64_t figure) {
  BookTotals book;
  book.accepted = book.served = book.fork_failed = book.crashed = figure;
  book.refused.fill(figure);
  book.timed_out.fill(figure);
  book.bytes_in = book.bytes_out = book.forked = book.reaped = figure;
  return book;
}

TEST_F(BelievedBookTest, WhatAProcessCanDoIsBelieved) {
  BookTotals book;
  EXPECT_EQ(look(book).accepted, 0U);
  book.accepted = 20;
  book.served = 12;
  book.timed_out[1] = 2;
  book.refused[0] = 3;
  book.bytes_in = 1'000'000;
  book.forked = 17;
  book.reaped = 14;
  EXPECT_EQ(look(book).accepted, 20U);
  EXPECT_EQ(look(book).active(), 3U);
  book.accepted = 100'000;
  book.served = 99'990;
  book.forked = book.reaped = 99'000;
  EXPECT_EQ(look(book, 1s).served, 99'990U);
  EXPECT_EQ(look(book).bytes_in, 1'000'000U);
  EXPECT_EQ(believed_.lies(), 0U);
}

TEST_F(BelievedBookTest, NonsenseAddsNothingAndWhatFollowsCountsAgain) {
  BookTotals book;
  book.accepted = book.served = 5;
  book.bytes_in = 50;
  look(book);
  for (const std::uint64_t figure :
       {std::numeric_limits<std::uint64_t>::max(), std::uint64_t{0x0101010101010101},
        std::uint64_t{1} << 63, std::uint64_t{0}}) {
    SCOPED_TRACE(figure);
    const std::uint64_t lies = believed_.lies();
    const BookTotals before = look(nonsense(figure));
    EXPECT_GT(believed_.lies(), lies);
    EXPECT_LE(before.ended(), before.accepted);
    EXPECT_LE(before.accepted, 100U);
    // It goes on counting from where the nonsense left it.
    BookTotals next = nonsense(figure);
    next.accepted += 2;
    next.served += 2;
    next.bytes_in += 7;
    const BookTotals after = look(next);
    EXPECT_EQ(after.accepted, before.accepted + 2);
    EXPECT_EQ(after.served, before.served + 2);
    EXPECT_EQ(after.bytes_in, before.bytes_in + 7);
    EXPECT_EQ(after.active(), 0U);
  }
}

TEST_F(BelievedBookTest, MoreEndingsThanConnectionsAreNot) {
  BookTotals book;
  book.accepted = 5;
  book.served = 6;
  EXPECT_EQ(look(book).served, 0U);
  EXPECT_EQ(believed_.lies(), 1U);
}

TEST_F(BelievedBookTest, MoreOpenThanThereMayBeAreNot) {
  BookTotals book;
  book.accepted = 11;
  EXPECT_EQ(look(book).accepted, 0U);
  book.accepted = 21;  // ten more than was claimed before
  EXPECT_EQ(look(book).accepted, 10U);
}

TEST_F(BelievedBookTest, MoreChildrenThanThereMayBeAreNot) {
  BookTotals book;
  book.accepted = 3;
  book.forked = most_open + 1;
  EXPECT_EQ(look(book).forked, 0U);
  BookTotals reaped;
  reaped.accepted = 3;
  reaped.forked = 2;
  reaped.reaped = 7;
  EXPECT_EQ(look(reaped).reaped, 0U);
}

TEST_F(BelievedBookTest, FasterThanAnyMachineIsNotAndLongerTimeAllowsMore) {
  BookTotals book;
  book.accepted = book.served = 5'000'000;
  EXPECT_EQ(look(book, 1ms).accepted, 0U);
  book.accepted = book.served = 10'000'000;
  EXPECT_EQ(look(book, 1s).accepted, 5'000'000U);
  EXPECT_EQ(look(book, 100'000h).accepted, 5'000'000U);  // and no overflow
}

/// Of which a meter is made that others can write to.
TEST_F(BelievedBookTest, NonsenseInTheBytesLeavesTheCountsAlone) {
  BookTotals book;
  book.accepted = book.served = 1;
  book.bytes_in = std::uint64_t{1} << 60;
  const BookTotals& believed = look(book);
  EXPECT_EQ(believed.accepted, 1U);
  EXPECT_EQ(believed.bytes_in, 0U);
  EXPECT_EQ(believed_.lies(), 1U);
}

TEST(BelievableBytes, AreThoseThatOneConnectionCanMove) {
  EXPECT_EQ(believable_bytes(0), 0U);
  EXPECT_EQ(believable_bytes(most_bytes_per_connection), most_bytes_per_connection);
  EXPECT_EQ(believable_bytes(most_bytes_per_connection + 1), 0U);
}

TEST(BelievedBookOf, ForkTimesAndLostLinesGrowWithTheRest) {
  const auto start = sys::Clock::now();
  BelievedBook book(10);
  BookTotals claimed;
  claimed.accepted = claimed.forked = 2;
  claimed.fork_times.buckets[3] = 2;
  claimed.fork_times.sum_ns = 150'000;
  claimed.log_lost = 4;
  claimed.access_log_lost = 5;
  const BookTotals believed = book.look(claimed, start + std::chrono::seconds(1));
  EXPECT_EQ(believed.fork_times.count(), 2U);
  EXPECT_EQ(believed.fork_times.sum_ns, 150'000U);
  EXPECT_EQ(believed.log_lost, 4U);
  EXPECT_EQ(believed.access_log_lost, 5U);
  EXPECT_EQ(book.lies(), 0U);
}

TEST(BelievedBookOf, MoreTimeThanHasPassedIsALie) {
  const auto start = sys::Clock::now();
  BelievedBook book(10);
  BookTotals claimed;
  claimed.fork_times.sum_ns = ~std::uint64_t{0} / 2;
  EXPECT_EQ(book.look(claimed, start + std::chrono::seconds(1)).fork_times.sum_ns, 0U);
  EXPECT_EQ(book.lies(), 1U);
}

}  // namespace
}  // namespace forkecho::server
