#include "common/mp/managed_queue.h"

#include <gtest/gtest.h>

#include "tests/common/mp/managed_calls.h"

namespace forkecho::mp::managed {
namespace {

using Item = std::optional<std::string>;

struct AQueue : testing::Test {
  Outcome put(ClientId from, const std::string& item) {
    return tests::apply(queue, answers, from, QueueOp::put,
                        [&](Encoder& to) { put_blob(to, item); });
  }
  Outcome get(ClientId from) {
    return tests::apply(queue, answers, from, QueueOp::get, [](Encoder&) {});
  }
  Outcome acknowledge(ClientId from) {
    return tests::apply(queue, answers, from, QueueOp::taken, [](Encoder&) {});
  }
  std::uint64_t size() {
    return tests::ask<std::uint64_t>(queue, QueueOp::size, [](Encoder&) {});
  }
  /// What `client` was answered to a put; empty: nothing yet.
  std::optional<bool> was_put(ClientId client) {
    const auto results = tests::take_answer(answers, client);
    return results ? std::optional(decode<bool>(*results)) : std::nullopt;
  }
  /// What `client` was answered to a get. The outer optional: nothing yet.
  std::optional<Item> got(ClientId client) {
    const auto results = tests::take_answer(answers, client);
    return results ? std::optional<Item>(decode<Item>(*results)) : std::nullopt;
  }
  /// Gets and acknowledges.
  Item take(ClientId from) {
    get(from);
    const auto item = got(from);
    if (!item) return "parked";
    if (*item) acknowledge(from);
    return *item;
  }

  ManagedQueue queue{2};
  Answers answers;
};

TEST_F(AQueue, GivesItemsInTheOrderInWhichTheyCame) {
  EXPECT_EQ(put(1, "a"), Outcome::done);
  EXPECT_EQ(put(1, "b"), Outcome::done);
  EXPECT_EQ(was_put(1), true);
  EXPECT_EQ(size(), 2u);
  EXPECT_EQ(take(2), "a");
  EXPECT_EQ(take(3), "b");
}

TEST_F(AQueue, APutWaitsForRoomAndAGetForAnItemFirstComeFirstServed) {
  put(1, "a");
  put(1, "b");
  was_put(1);
  was_put(1);
  EXPECT_EQ(put(2, "c"), Outcome::parked);
  EXPECT_EQ(put(3, "d"), Outcome::parked);
  EXPECT_EQ(take(9), "a");
  EXPECT_EQ(was_put(2), true);
  EXPECT_EQ(was_put(3), std::nullopt);
  EXPECT_EQ(take(9), "b");
  EXPECT_EQ(was_put(3), true);
  EXPECT_EQ(take(9), "c");
  EXPECT_EQ(take(9), "d");
  EXPECT_EQ(get(4), Outcome::parked);
  EXPECT_EQ(get(5), Outcome::parked);
  put(1, "e");
  EXPECT_EQ(got(4), "e");
  EXPECT_EQ(got(5), std::nullopt);
}

TEST_F(AQueue, AnExpiredRequestIsAnsweredAndForgotten) {
  EXPECT_EQ(get(1), Outcome::parked);
  queue.expire(1, answers);
  EXPECT_EQ(got(1), std::optional<Item>(Item()));
  put(2, "a");
  put(2, "b");
  was_put(2);
  was_put(2);
  EXPECT_EQ(put(3, "c"), Outcome::parked);
  queue.expire(3, answers);
  EXPECT_EQ(was_put(3), false);
  EXPECT_EQ(take(4), "a");
  EXPECT_EQ(take(4), "b");
  EXPECT_EQ(take(4), "parked");
}

TEST_F(AQueue, AnItemThatWasNotAcknowledgedGoesBackToTheHead) {
  put(1, "a");
  put(1, "b");
  was_put(1);
  was_put(1);
  get(2);
  EXPECT_EQ(got(2), "a");
  put(3, "c");  // there is room again; the item handed out comes back over the capacity
  EXPECT_EQ(was_put(3), true);
  queue.forget(2, answers);
  EXPECT_EQ(size(), 3u);
  EXPECT_EQ(take(4), "a");
  EXPECT_EQ(take(4), "b");
  EXPECT_EQ(take(4), "c");
}

TEST_F(AQueue, AnItemGivenBackGoesToWhoWaits) {
  put(1, "a");
  was_put(1);
  get(2);
  got(2);
  EXPECT_EQ(get(3), Outcome::parked);
  queue.forget(2, answers);
  EXPECT_EQ(got(3), "a");
}

TEST_F(AQueue, AnItemThatCouldNotBeReceivedIsGivenBackToTheHead) {
  const auto give_back = [&](ClientId from) {
    return tests::apply(queue, answers, from, QueueOp::give_back, [](Encoder&) {});
  };
  EXPECT_EQ(give_back(1), Outcome::done) << "it may not know that it was handed nothing";
  put(1, "a");
  put(1, "b");
  was_put(1);
  was_put(1);
  get(2);
  EXPECT_EQ(got(2), "a");
  EXPECT_EQ(give_back(2), Outcome::done);
  EXPECT_EQ(answers.count(), 0u);
  EXPECT_EQ(take(2), "a");
  get(3);
  EXPECT_EQ(got(3), "b");
  EXPECT_EQ(get(4), Outcome::parked);
  give_back(3);
  EXPECT_EQ(got(4), "b");
}

TEST_F(AQueue, AnAcknowledgedItemIsGone) {
  put(1, "a");
  was_put(1);
  EXPECT_EQ(take(2), "a");
  queue.forget(2, answers);
  EXPECT_EQ(size(), 0u);
}

TEST_F(AQueue, WhoHasVanishedIsServedNoLonger) {
  get(1);
  queue.forget(1, answers);
  put(2, "a");
  was_put(2);
  EXPECT_EQ(take(3), "a");
  put(2, "a");
  put(2, "b");
  put(4, "never");
  queue.forget(4, answers);
  EXPECT_EQ(take(3), "a");
  EXPECT_EQ(take(3), "b");
  EXPECT_EQ(take(3), "parked");
}

TEST_F(AQueue, AnswersOutOfTurnAreGarbage) {
  EXPECT_THROW(acknowledge(1), DecodeError);
  put(1, "a");
  put(1, "b");
  get(2);
  EXPECT_THROW(get(2), DecodeError);
  EXPECT_THROW(tests::apply(queue, answers, 1, static_cast<QueueOp>(9), [](Encoder&) {}),
               DecodeError);
}

}  // namespace
}  // namespace forkecho::mp::managed
