#include <gtest/gtest.h>

#include "common/mp/simple_queue.h"
#include "tests/crash/mp/queue_books.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

using BusyQueue = tests::BusyQueue<SimpleQueue<std::string>>;

/// A SimpleQueue is seldom full, and those who are killed at it while they put fill it: nobody
/// sleeps then, and nobody is woken. It is the same Queue below, and queue_kill_test.cpp has these
/// steps.
bool passes_by(const std::string& step) {
  return step == "queue.put.full" || tests::needs_a_sleeper(step);
}

TEST(SimpleQueueKilled, AmongOthersAtEachStepTheBooksBalanceToTheMessage) {
  PROVES("0.5");
  BusyQueue queue;
  queue.start_survivors();
  std::mt19937 random(1);  // NOLINT: the same numbers every time
  std::uint64_t must_be_there = 0;
  std::uint64_t lost = 0;
  std::uint64_t in_hand = 0;
  for (int i = 0; i < tests::soak(40, 400); ++i) {
    for (const tests::PutStep& step : tests::put_steps) {
      if (passes_by(step.name)) continue;
      tests::kill_at(step.name, 1 + tests::up_to(4, random), queue.producer());
      must_be_there += step.is_put ? 1 : 0;
    }
    for (const tests::GetStep& step : tests::get_steps) {
      if (passes_by(step.name)) continue;
      tests::kill_at(step.name, 1 + tests::up_to(4, random), queue.consumer());
      lost += step.fate == tests::Fate::lost ? 1 : 0;
      in_hand += step.fate == tests::Fate::in_hand ? 1 : 0;
    }
  }
  queue.finish();
  const auto balance = queue.books().balance();
  EXPECT_EQ(queue.queue().lost(), lost);
  const std::uint64_t put = balance.put + must_be_there;
  const std::uint64_t got = balance.put - balance.missing + balance.uncertain_there;
  EXPECT_EQ(put, got + lost + in_hand);
}

TEST(SimpleQueueKilled, AmongOthersAtAnyMomentTheBooksBalance) {
  PROVES("0.5");
  BusyQueue queue;
  queue.start_survivors();
  std::mt19937 random(2);  // NOLINT: the same numbers every time
  const int rounds = tests::soak(350, 3500);
  for (int i = 0; i < rounds; ++i) {
    tests::kill_at_random_moment(queue.producer(), random);
    tests::kill_at_random_moment(queue.consumer(), random);
  }
  queue.finish();
  const auto kills = static_cast<std::uint64_t>(rounds);
  EXPECT_LE(queue.books().balance().uncertain, kills);
  EXPECT_LE(queue.queue().lost(), kills);
  // What is missing was lost, or in the hands of a consumer that had not entered it yet.
  EXPECT_LE(queue.books().balance().missing, kills);
}

}  // namespace
}  // namespace forkecho::mp
