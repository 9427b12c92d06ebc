#include "common/mp/pool_books.h"

#include <gtest/gtest.h>

#include <vector>

namespace forkecho::mp {
namespace {

using Offer = PoolBooks::Offer;

PoolBooks books_with(std::size_t ready_workers, unsigned tasks_per_worker = 0) {
  PoolBooks books(ready_workers, tasks_per_worker);
  for (std::size_t place = 0; place < ready_workers; ++place) {
    books.worker_came(place);
    books.worker_ready(place);
  }
  return books;
}

/// Hands out all that can be.
std::vector<Offer> hand_out(PoolBooks& books) {
  std::vector<Offer> offers;
  while (const auto offer = books.next_offer()) {
    books.offered(*offer);
    offers.push_back(*offer);
  }
  return offers;
}

void wait_for(PoolBooks& books, TaskNumber last) {
  for (TaskNumber task = 1; task <= last; ++task) books.wait(task);
}

TEST(PoolBooks, NothingWaitsNothingIsOffered) {
  EXPECT_EQ(books_with(2).next_offer(), std::nullopt);
}

TEST(PoolBooks, TasksGoOutInOrderToWhoHasLeast) {
  PoolBooks books = books_with(2);
  wait_for(books, 6);
  EXPECT_EQ(hand_out(books), (std::vector<Offer>{{0, 1, 1}, {1, 1, 2}, {0, 2, 3}, {1, 2, 4}}));
  EXPECT_EQ(books.waiting(), 2u);
  EXPECT_EQ(books.answered(1, 1), 2u);
  EXPECT_EQ(hand_out(books), (std::vector<Offer>{{1, 3, 5}}));
}

TEST(PoolBooks, AnAnswerMustBeTheOneThatIsDue) {
  PoolBooks books = books_with(1);
  wait_for(books, 2);
  hand_out(books);
  EXPECT_EQ(books.due(0), 1u);
  EXPECT_EQ(books.answered(0, 2), std::nullopt);
  EXPECT_EQ(books.answered(0, 1), 1u);
  EXPECT_EQ(books.answered(0, 1), std::nullopt);
  EXPECT_EQ(books.answered(0, 2), 2u);
  EXPECT_EQ(books.answered(0, 3), std::nullopt);
}

TEST(PoolBooks, AReadyWorkerIsPreferredToANewborn) {
  PoolBooks books(2, 0);
  books.worker_came(0);
  books.worker_came(1);
  books.worker_ready(1);
  wait_for(books, 5);
  EXPECT_EQ(hand_out(books), (std::vector<Offer>{{1, 1, 1}, {0, 1, 2}, {1, 2, 3}}));
}

TEST(PoolBooks, AWorkerIsSpentAfterItsNumberOfTasks) {
  PoolBooks books = books_with(1, 3);
  wait_for(books, 5);
  EXPECT_EQ(hand_out(books).size(), 2u);
  books.answered(0, 1);
  EXPECT_EQ(hand_out(books).size(), 1u);
  books.answered(0, 2);
  EXPECT_TRUE(hand_out(books).empty());
  EXPECT_FALSE(books.spent(0));
  books.answered(0, 3);
  EXPECT_TRUE(books.spent(0));
  EXPECT_TRUE(books.worker_went(0).empty());
  EXPECT_TRUE(books.vacant(0));
  EXPECT_TRUE(hand_out(books).empty());
  books.worker_came(0);
  EXPECT_FALSE(books.spent(0));
  books.worker_ready(0);
  EXPECT_EQ(hand_out(books), (std::vector<Offer>{{0, 4, 4}, {0, 5, 5}}));
}

TEST(PoolBooks, WhatADeadWorkerHadComesBack) {
  PoolBooks books = books_with(1);
  wait_for(books, 3);
  const auto offers = hand_out(books);
  EXPECT_EQ(books.worker_went(0), offers);
  EXPECT_EQ(books.unanswered(0), 0u);
  books.wait(2);
  books.worker_came(0);
  EXPECT_EQ(books.next_offer(), (Offer{0, 3, 2})) << "before what is younger";
}

TEST(PoolBooks, ADroppedTaskIsNotOffered) {
  PoolBooks books = books_with(1);
  wait_for(books, 2);
  books.drop(1);
  EXPECT_EQ(hand_out(books), (std::vector<Offer>{{0, 1, 2}}));
}

TEST(PoolBooks, AnIdleWorkerGetsWhatWaitsBehindALongTask) {
  PoolBooks books = books_with(2);
  wait_for(books, 4);
  hand_out(books);  // 1 and 3 to the first, 2 and 4 to the second
  EXPECT_EQ(books.next_recall(), std::nullopt) << "nobody is idle";
  books.answered(1, 1);
  books.answered(1, 2);
  const auto recall = books.next_recall();
  EXPECT_EQ(recall, (Offer{0, 2, 3}));
  books.recalled(*recall);
  EXPECT_EQ(books.next_offer(), (Offer{1, 3, 3}));
  books.offered(*books.next_offer());
  EXPECT_EQ(books.next_recall(), std::nullopt);
  // The recalled message lies before the first worker: it gets no more until it answers.
  books.wait(5);
  EXPECT_EQ(books.next_offer(), (Offer{1, 4, 5}));
  books.answered(0, 1);
  EXPECT_EQ(books.next_offer(), (Offer{0, 3, 5}));
}

TEST(PoolBooks, WhatWasBegunIsNotRecalledAgain) {
  PoolBooks books = books_with(2);
  wait_for(books, 3);
  hand_out(books);
  books.answered(1, 1);
  const auto recall = books.next_recall();
  EXPECT_EQ(recall, (Offer{0, 2, 3}));
  books.too_late(*recall);
  EXPECT_EQ(books.next_recall(), std::nullopt);
}

TEST(PoolBooks, WhileOthersWaitARecallIsForWhatTheyOvertook) {
  PoolBooks books = books_with(2);
  wait_for(books, 20);
  hand_out(books);
  books.answered(1, 1);
  books.answered(1, 2);
  EXPECT_EQ(books.next_recall(), std::nullopt) << "the next that waits is hardly younger";
  for (std::uint64_t ticket = 3; ticket <= 12; ++ticket) {
    hand_out(books);
    books.answered(1, ticket);
  }
  EXPECT_EQ(books.answered(1, 13), 15u);
  EXPECT_EQ(books.next_recall(), (Offer{0, 2, 3}));
}

TEST(PoolBooks, ATaskDoesNotWaitForAnInitializer) {
  PoolBooks books(2, 0);
  books.worker_came(0);
  books.worker_came(1);
  books.wait(1);
  EXPECT_EQ(hand_out(books), (std::vector<Offer>{{0, 1, 1}}));
  EXPECT_EQ(books.next_recall(), std::nullopt);
  books.worker_ready(1);
  const auto recall = books.next_recall();
  EXPECT_EQ(recall, (Offer{0, 1, 1}));
  books.recalled(*recall);
  EXPECT_EQ(hand_out(books), (std::vector<Offer>{{1, 1, 1}}));
  books.worker_ready(0);
  books.wait(2);
  EXPECT_EQ(hand_out(books), (std::vector<Offer>{{0, 2, 2}}));
}

TEST(PoolBooks, HandOutAgain) {
  using enum OnWorkerDeath;
  EXPECT_TRUE(hand_out_again(false, fail, 0, 3));
  EXPECT_TRUE(hand_out_again(false, retry, 3, 3)) << "what was not begun costs no retry";
  EXPECT_FALSE(hand_out_again(true, fail, 0, 3));
  EXPECT_TRUE(hand_out_again(true, retry, 2, 3));
  EXPECT_FALSE(hand_out_again(true, retry, 3, 3));
  EXPECT_FALSE(hand_out_again(true, retry, 0, 0));
  EXPECT_TRUE(hand_out_again(false, fail, 0, 0, most_deaths_before_begun - 1));
  EXPECT_FALSE(hand_out_again(false, retry, 0, 3, most_deaths_before_begun));
}

}  // namespace
}  // namespace forkecho::mp
