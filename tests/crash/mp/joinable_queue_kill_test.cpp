#include <gtest/gtest.h>

#include "common/mp/joinable_queue.h"
#include "tests/crash/mp/queue_books.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

using sys::Deadline;

/// Where a consumer (get, work, task_done) is killed, and what becomes of its item.
enum class Fate { stays, abandoned, done };
struct ConsumerStep {
  const char* name;
  Fate fate;
  bool in_account;  // the killed thread has an entry in the account of undone items
  bool has_lock;    // it is killed under the getters' mutex
};
constexpr ConsumerStep consumer_steps[] = {
    {"queue.get.begin", Fate::stays, false, false},
    {"queue.get.locked", Fate::stays, false, true},
    {"joinable_queue.get.announced", Fate::stays, true, true},
    {"queue.get.copied", Fate::stays, true, true},
    {"queue.get.committed", Fate::abandoned, true, true},
    {"joinable_queue.get.entered", Fate::abandoned, true, true},
    {"queue.get.handed_over", Fate::abandoned, true, true},
    {"joinable_queue.task_done.begin", Fate::abandoned, true, false},
    {"joinable_queue.task_done.marked", Fate::done, true, true},
    {"joinable_queue.task_done.woken", Fate::done, false, true},
};

/// Whether one who joins after a consumer was killed at `first` comes to `step`.
bool comes_to(const std::string& step, const ConsumerStep& first) {
  if (step.starts_with("joinable_queue.repair.")) return first.has_lock;
  if (step.starts_with("joinable_queue.settle.")) return first.in_account;
  return true;
}

TEST(JoinableQueueKilled, AConsumerAndThenThoseWhoMendTheAccountLeaveItExact) {
  PROVES("0.5");
  std::mt19937 random(1);  // NOLINT: the same numbers every time
  for (const ConsumerStep& first : consumer_steps) {
    for (const char* const second :
         {"joinable_queue.repair.repaired", "joinable_queue.settle.announced",
          "joinable_queue.settle.counted", "joinable_queue.join.settled",
          "joinable_queue.join.waiting"}) {
      if (!comes_to(second, first)) continue;
      for (int i = 0; i < tests::soak(4, 40); ++i) {
        SCOPED_TRACE(std::string(first.name) + ", then " + second);
        JoinableQueue<int> queue;
        queue.put(1);
        queue.put(2);
        tests::kill_at(first.name, 1, [&] {
          queue.get();
          queue.task_done();
        });
        tests::kill_at(second, 1, [&] { queue.join(); });
        const bool mark_at_once = first.fate == Fate::abandoned && i % 2 == 0;
        if (mark_at_once) {
          queue.task_done();  // for the dead, and before anybody else has mended the account
        } else {
          tests::kill_at("", 1 + tests::up_to(6, random),
                         [&] { queue.join(Deadline::immediately()); });
        }
        int got = 0;
        for (; queue.get_nowait(); ++got) queue.task_done();
        EXPECT_EQ(got, first.fate == Fate::stays ? 2 : 1);
        const Joined joined = queue.join(tests::patience());
        EXPECT_TRUE(joined.all_done);
        EXPECT_EQ(joined.abandoned, first.fate == Fate::abandoned && !mark_at_once ? 1U : 0U);
        EXPECT_THROW(while (true) queue.task_done(), std::logic_error);
        EXPECT_EQ(queue.abandoned(), 0U) << "the late marks were for them";
      }
    }
  }
}

/// A queue whose consumers mark what they got, count their marks, and are joined all the time.
class BusyJoinableQueue {
 public:
  BusyJoinableQueue() : busy_(6, 256 << 10) {
    busy_.set_afterwards([this] {
      queue().task_done();
      ++*marks_;
    });
    busy_.start_survivors();
    joiner_.start([this] {
      queue().join(Deadline::after(std::chrono::milliseconds(5)));
      return true;
    });
  }
  tests::BusyQueue<JoinableQueue<std::string>>& busy() { return busy_; }
  JoinableQueue<std::string>& queue() { return busy_.queue(); }
  /// task_done returned so often.
  std::uint64_t marks() const { return *marks_; }
  void finish() {
    busy_.finish();
    EXPECT_TRUE(joiner_.stop()) << "join hung";
    EXPECT_TRUE(queue().join(tests::patience())) << "join hung";
  }

 private:
  mp::RawValue<std::atomic<std::uint64_t>> marks_;
  tests::BusyQueue<JoinableQueue<std::string>> busy_;
  tests::Survivors joiner_;
};

TEST(JoinableQueueKilled, AmongOthersAtEachStepTheBooksBalanceToTheItem) {
  PROVES("0.5");
  BusyJoinableQueue queue;
  std::mt19937 random(2);  // NOLINT: the same numbers every time
  std::uint64_t must_be_there = 0;
  std::uint64_t abandoned = 0;
  std::uint64_t marked = 0;
  for (int i = 0; i < tests::soak(25, 250); ++i) {
    for (const tests::PutStep& step : tests::put_steps) {
      tests::kill_at(step.name, 1 + tests::up_to(4, random), queue.busy().producer());
      must_be_there += step.is_put ? 1 : 0;
    }
    for (const ConsumerStep& step : consumer_steps) {
      tests::kill_at(step.name, 1 + tests::up_to(4, random), queue.busy().consumer());
      abandoned += step.fate == Fate::abandoned ? 1 : 0;
      marked += step.fate == Fate::done ? 1 : 0;
    }
    for (const char* const step : {"joinable_queue.join.settled", "joinable_queue.join.waiting"})
      tests::kill_at(step, 1, [&] { queue.queue().join(); });
    for (const char* const step : {"queue.wake.announced", "queue.get.woken"}) {
      tests::kill_at(step, 1, queue.busy().consumer());
      ++abandoned;
    }
    tests::kill_at("queue.get.empty", 1, queue.busy().consumer());
  }
  queue.finish();
  EXPECT_EQ(queue.queue().abandoned(), abandoned);
  const auto put = queue.busy().books().balance().put + must_be_there;
  EXPECT_EQ(put, queue.marks() + marked + abandoned);
}

TEST(JoinableQueueKilled, AmongOthersAtAnyMomentWhatIsMissingIsReported) {
  PROVES("0.5");
  BusyJoinableQueue queue;
  std::mt19937 random(3);  // NOLINT: the same numbers every time
  const int rounds = tests::soak(200, 2000);
  for (int i = 0; i < rounds; ++i) {
    tests::kill_at_random_moment(queue.busy().producer(), random);
    tests::kill_at_random_moment(queue.busy().consumer(), random);
    if (i % 4 == 0) tests::kill_at_random_moment([&] { queue.queue().join(); }, random);
  }
  queue.finish();
  const auto balance = queue.busy().books().balance();
  const auto kills = static_cast<std::uint64_t>(rounds);
  const std::uint64_t abandoned = queue.queue().abandoned();
  EXPECT_LE(abandoned, kills);
  EXPECT_LE(balance.missing, abandoned) << "not got, and not reported";
  EXPECT_LE(queue.marks() + abandoned, balance.put + balance.uncertain);
  // A consumer killed between its mark and its entry of it is not in marks().
  EXPECT_GE(queue.marks() + abandoned + kills, balance.put);
}

}  // namespace
}  // namespace forkecho::mp
