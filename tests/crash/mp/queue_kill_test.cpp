#include <gtest/gtest.h>

#include "common/mp/queue.h"
#include "tests/crash/mp/queue_books.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

using sys::Deadline;
using Strings = Queue<std::string>;
using BusyQueue = tests::BusyQueue<Strings>;

/// Processes that sleep in the queue need time to fall asleep: fewer rounds of the steps with them.
int rounds_of(const std::string& step) {
  return tests::needs_a_sleeper(step) ? 2 : tests::soak(30, 300);
}

TEST(QueueKilled, AtEachStepOfPutTheMessageIsThereOrNotAndTheNextOnesFollow) {
  PROVES("0.5");
  for (const tests::PutStep& step : tests::put_steps) {
    SCOPED_TRACE(step.name);
    const bool full = std::string(step.name) == "queue.put.full";
    const bool with_sleeper = tests::needs_a_sleeper(step.name);
    for (int i = 0; i < rounds_of(step.name); ++i) {
      Strings queue(full ? 2 : 10);
      pid_t sleeper = 0;
      if (with_sleeper) {
        sleeper = tests::start_child([&] { return *queue.get(tests::patience()) == "1" ? 0 : 1; });
        ASSERT_TRUE(tests::sleeps(sleeper));
      }
      tests::kill_at(step.name, full || with_sleeper ? 1 : 3,
                     [&, number = 0]() mutable { queue.put(std::to_string(++number)); });
      if (with_sleeper) {
        EXPECT_EQ(tests::exitcode_of(sleeper), 0);
        EXPECT_EQ(queue.qsize(), 0U);
      } else {
        EXPECT_EQ(queue.qsize(), step.is_put ? 3U : 2U);
        EXPECT_EQ(queue.get(tests::patience()), "1");
        EXPECT_EQ(queue.get(tests::patience()), "2");
        if (step.is_put) {
          EXPECT_EQ(queue.get(tests::patience()), "3");
        }
      }
      EXPECT_TRUE(queue.put("next", tests::patience()));
      EXPECT_EQ(queue.get(tests::patience()), "next");
      EXPECT_EQ(queue.lost(), 0U);
    }
  }
}

TEST(QueueKilled, AtEachStepOfGetTheMessageStaysOrIsReported) {
  PROVES("0.5");
  for (const tests::GetStep& step : tests::get_steps) {
    SCOPED_TRACE(step.name);
    std::vector<std::string> expected{"3"};  // "1" was got, "2" is the one that is at stake
    if (step.fate == tests::Fate::stays) expected = {"2", "3"};
    const bool empty = std::string(step.name) == "queue.get.empty";
    if (empty) expected = {};
    const bool with_sleeper = tests::needs_a_sleeper(step.name);
    if (with_sleeper) expected = {"2", "3", "4"};  // here "1" is at stake
    for (int i = 0; i < rounds_of(step.name); ++i) {
      Strings queue(3);
      for (const char* text : {"1", "2", "3"}) queue.put(text);
      pid_t sleeper = 0;
      if (with_sleeper) {
        sleeper = tests::start_child([&] { return queue.put("4", tests::patience()) ? 0 : 1; });
        ASSERT_TRUE(tests::sleeps(sleeper));
      }
      if (empty) {
        while (queue.get_nowait()) continue;
      }
      tests::kill_at(step.name, empty || with_sleeper ? 1 : 2, [&] { queue.get(); });
      if (with_sleeper) {
        EXPECT_EQ(tests::exitcode_of(sleeper), 0);
      }
      std::vector<std::string> left;
      while (auto text = queue.get_nowait()) left.push_back(*text);
      EXPECT_EQ(left, expected);
      EXPECT_EQ(queue.lost(), step.fate == tests::Fate::lost ? 1U : 0U);
      EXPECT_TRUE(queue.put("next", tests::patience()));
      EXPECT_EQ(queue.get(tests::patience()), "next");
    }
  }
}

TEST(QueueKilled, AmongOthersAtEachStepTheBooksBalanceToTheMessage) {
  PROVES("0.5");
  BusyQueue queue(6, 256 << 10);
  queue.start_survivors();
  const int rounds = tests::soak(40, 400);
  std::mt19937 random(1);  // NOLINT: the same numbers every time
  std::uint64_t must_be_there = 0;
  std::uint64_t lost = 0;
  std::uint64_t in_hand = 0;
  for (int i = 0; i < rounds; ++i) {
    for (const tests::PutStep& step : tests::put_steps) {
      tests::kill_at(step.name, 1 + tests::up_to(4, random), queue.producer());
      must_be_there += step.is_put ? 1 : 0;
    }
    for (const tests::GetStep& step : tests::get_steps) {
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

TEST(QueueKilled, AmongOthersAtAnyMomentTheBooksBalance) {
  PROVES("0.5");
  for (const long maxsize : {6L, 1000L}) {
    BusyQueue queue(maxsize, 256 << 10);
    queue.start_survivors();
    std::mt19937 random(2);  // NOLINT: the same numbers every time
    const int rounds = tests::soak(150, 3000);
    for (int i = 0; i < rounds; ++i) {
      tests::kill_at_random_moment(queue.producer(), random);
      tests::kill_at_random_moment(queue.consumer(), random);
    }
    queue.finish();
    const auto balance = queue.books().balance();
    const auto kills = static_cast<std::uint64_t>(rounds);
    EXPECT_LE(balance.uncertain, kills);
    EXPECT_LE(queue.queue().lost(), kills);
    // What is missing was lost, or in the hands of a consumer that had not entered it yet.
    EXPECT_LE(balance.missing, kills);
  }
}

TEST(QueueKilled, AtAnyStepWhateverItIsTheBooksBalance) {
  BusyQueue queue(6, 256 << 10);
  queue.start_survivors();
  std::mt19937 random(3);  // NOLINT: the same numbers every time
  const int rounds = tests::soak(100, 1000);
  for (int i = 0; i < rounds; ++i) {
    tests::kill_at("", 1 + tests::up_to(60, random), queue.producer());
    tests::kill_at("", 1 + tests::up_to(60, random), queue.consumer());
  }
  queue.finish();
  const auto kills = static_cast<std::uint64_t>(rounds);
  EXPECT_LE(queue.books().balance().uncertain, kills);
  EXPECT_LE(queue.queue().lost(), kills);
  EXPECT_LE(queue.books().balance().missing, kills);
}

}  // namespace
}  // namespace forkecho::mp
