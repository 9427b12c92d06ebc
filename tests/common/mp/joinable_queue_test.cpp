#include "common/mp/joinable_queue.h"

#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "common/mp/process.h"
#include "tests/support/child.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using sys::Deadline;

TEST(JoinableQueue, JoinReturnsWhenEveryItemIsMarkedDone) {
  PROVES("2.1", "cpython:test_task_done");
  JoinableQueue<std::optional<int>> queue;
  RawValue<std::atomic<int>> done;
  std::vector<pid_t> workers;
  for (int i = 0; i < 4; ++i) {
    workers.push_back(tests::start_child([&] {
      while (*queue.get()) {
        poll(nullptr, 0, 5);  // work
        ++*done;
        queue.task_done();
      }
      return 0;
    }));
  }
  for (int i = 0; i < 10; ++i) queue.put(i);
  const Joined joined = queue.join(tests::patience());
  EXPECT_TRUE(joined.all_done);
  EXPECT_EQ(joined.abandoned, 0U);
  EXPECT_EQ(*done, 10);
  for (std::size_t i = 0; i < workers.size(); ++i) queue.put(std::nullopt);
  for (const pid_t worker : workers) EXPECT_EQ(tests::exitcode_of(worker), 0);
  EXPECT_EQ(queue.abandoned(), workers.size()) << "the last ones were never marked";
}

TEST(JoinableQueue, JoinReturnsAtOnceWhenThereIsNothingToDo) {
  JoinableQueue<int> queue;
  EXPECT_TRUE(queue.join(Deadline::immediately()));
  queue.put(1);
  queue.get();
  queue.task_done();
  EXPECT_TRUE(queue.join(Deadline::immediately()));
}

TEST(JoinableQueue, JoinWaitsNoLongerThanItsDeadline) {
  JoinableQueue<int> queue;
  const auto wait = std::chrono::milliseconds(60);
  const auto waits_in_vain = [&] {
    const auto begin = sys::Clock::now();
    const bool done = queue.join(Deadline::after(wait)).all_done;
    return !done && sys::Clock::now() - begin >= wait;
  };
  queue.put(1);
  EXPECT_TRUE(waits_in_vain()) << "nobody got the item";
  queue.get();
  EXPECT_TRUE(waits_in_vain()) << "got, and not done";
  EXPECT_FALSE(queue.join(Deadline::immediately()));
  queue.task_done();
  EXPECT_TRUE(queue.join(Deadline::immediately()));
}

TEST(JoinableQueue, ItsEndDoesNotHangOnAStoppedGetter) {
  struct Opened : JoinableQueue<int> {
    using JoinableQueue<int>::ring;
  };
  std::optional<Opened> queue(std::in_place);
  tests::Gate held;
  tests::Gate go;
  const pid_t getter = tests::start_child([&] {
    const MessageRing::GettersTurn turn(queue->ring(), Deadline::never());
    held.open();
    // Longer than the other child is waited for.
    return go.pass(Deadline::after(std::chrono::seconds(50))) ? 0 : 1;
  });
  ASSERT_TRUE(held.pass());
  EXPECT_EQ(tests::exitcode_in_child([&] {
              queue.reset();
              return 0;
            }),
            0);
  go.open();
  EXPECT_EQ(tests::exitcode_of(getter), 0);
}

TEST(JoinableQueue, TheLastTaskDoneWakesJoin) {
  JoinableQueue<int> queue;
  constexpr int rounds = 20;
  const pid_t worker = tests::start_child([&] {
    for (int i = 0; i < rounds; ++i) {
      queue.get();
      poll(nullptr, 0, 2);  // the joiner is asleep by now
      queue.task_done();
    }
    return 0;
  });
  const auto begin = sys::Clock::now();
  for (int i = 0; i < rounds; ++i) {
    queue.put(i);
    ASSERT_TRUE(queue.join(tests::patience()));
  }
  EXPECT_LT(sys::Clock::now() - begin, rounds * longest_sleep / 2);
  EXPECT_EQ(tests::exitcode_of(worker), 0);
}

TEST(JoinableQueue, TaskDoneTooOftenIsAnError) {
  JoinableQueue<int> queue;
  EXPECT_THROW(queue.task_done(), std::logic_error);
  queue.put(1);
  EXPECT_THROW(queue.task_done(), std::logic_error) << "put, but got by nobody";
  queue.get();
  queue.task_done();
  EXPECT_THROW(queue.task_done(), std::logic_error);
  queue.put(2);
  EXPECT_FALSE(queue.join(Deadline::immediately())) << "a refused mark must not count ahead";
}

TEST(JoinableQueue, AnotherProcessMayMarkAnItemDone) {
  JoinableQueue<int> queue;
  queue.put(1);
  queue.put(2);
  queue.get();
  EXPECT_EQ(tests::exitcode_in_child([&] {
              queue.task_done();
              return 0;
            }),
            0);
  EXPECT_THROW(queue.task_done(), std::logic_error) << "the only item that was got is done";
  queue.get();
  queue.task_done();
  EXPECT_TRUE(queue.join(Deadline::immediately()));
}

TEST(JoinableQueue, AnotherThreadMayMarkAnItemDone) {
  JoinableQueue<int> queue;
  queue.put(1);
  queue.get();
  std::thread([&] { queue.task_done(); }).join();
  const Joined joined = queue.join(Deadline::immediately());
  EXPECT_TRUE(joined);
  EXPECT_EQ(joined.abandoned, 0U);
}

TEST(JoinableQueue, AMarkPaysTheCallersOwnItemsFirst) {
  JoinableQueue<int> queue;
  for (int i = 0; i < 3; ++i) queue.put(i);
  queue.get();
  tests::Gate marked;
  const pid_t child = tests::start_child([&] {
    queue.get();
    queue.get();
    queue.task_done();
    marked.open();
    pause();
    return 0;
  });
  ASSERT_TRUE(marked.pass());
  kill(child, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(child), -SIGKILL);
  queue.task_done();
  const Joined joined = queue.join(tests::patience());
  EXPECT_TRUE(joined);
  EXPECT_EQ(joined.abandoned, 1U);
}

TEST(JoinableQueue, ItemsOfAKilledConsumerAreAbandonedAndJoinReturns) {
  PROVES("0.5");
  JoinableQueue<int> queue;
  for (int i = 0; i < 3; ++i) queue.put(i);
  tests::Gate got;
  const pid_t consumer = tests::start_child([&] {
    for (int i = 0; i < 3; ++i) queue.get();
    queue.task_done();
    got.open();
    pause();
    return 0;
  });
  ASSERT_TRUE(got.pass());
  const pid_t joiner = tests::start_child([&] {
    const Joined joined = queue.join(tests::patience());
    return joined.all_done ? static_cast<int>(joined.abandoned) : 100;
  });
  EXPECT_TRUE(tests::sleeps(joiner));
  kill(consumer, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(consumer), -SIGKILL);
  EXPECT_EQ(tests::exitcode_of(joiner), 2);
  EXPECT_EQ(queue.abandoned(), 2U);
}

TEST(JoinableQueue, AnAbandonedItemMayStillBeMarkedDone) {
  JoinableQueue<int> queue;
  queue.put(1);
  EXPECT_EQ(tests::exitcode_in_child([&] { return *queue.get(); }), 1);
  EXPECT_EQ(queue.abandoned(), 1U);
  queue.task_done();
  EXPECT_EQ(queue.abandoned(), 0U);
  EXPECT_THROW(queue.task_done(), std::logic_error);
}

TEST(JoinableQueue, AConsumerThatGivesTheQueueUpAbandonsItsItems) {
  JoinableQueue<int> queue;
  queue.put(1);
  std::thread([&] { queue.get(); }).join();
  EXPECT_EQ(queue.abandoned(), 1U);
  const auto exitcode = tests::exitcode_in_child([] {
    std::optional<JoinableQueue<int>> own(std::in_place);
    own->put(1);
    own->get();
    own.reset();  // with an item undone: the thread's list of mutexes must not point into it
    JoinableQueue<int> next;
    next.put(2);
    return *next.get();
  });
  EXPECT_EQ(exitcode, 2);
}

TEST(JoinableQueue, MoreConsumersThanEverAtOnceMayComeOneAfterTheOther) {
  JoinableQueue<int> queue;
  constexpr int children = 50;
  for (int i = 0; i < children; ++i) queue.put(i);
  for (int i = 0; i < children; ++i)
    EXPECT_EQ(tests::exitcode_in_child([&] { return *queue.get(); }), i);
  EXPECT_TRUE(queue.join(Deadline::immediately()));
  EXPECT_EQ(queue.abandoned(), std::size_t{children});
}

TEST(JoinableQueue, RefusesToBeUsedWhenClosed) {
  PROVES("cpython:test_closed_queue_put_get_exceptions");
  JoinableQueue<int> queue;
  queue.close();
  EXPECT_THROW(queue.put(1), std::logic_error);
  EXPECT_THROW(queue.get(), std::logic_error);
}

struct Food {
  char cook;
  int number;
  pid_t eater;
};

TEST(JoinableQueue, TwoProducersOfThreeAndTwoDaemonConsumers) {
  PROVES("3.10");
  JoinableQueue<Food> queue;
  Queue<Food> eaten;
  std::vector<Process> producers;
  for (const char cook : {'A', 'B'}) {
    producers.emplace_back([&queue, cook] {
      for (int number = 1; number <= 3; ++number) queue.put({cook, number, 0});
    });
  }
  std::vector<Process> consumers;
  for (int i = 0; i < 2; ++i) {
    consumers.emplace_back([&queue, &eaten] {
      for (;;) {
        Food food = *queue.get();
        food.eater = getpid();
        eaten.put(food);
        queue.task_done();
      }
    });
    consumers.back().set_daemon(true);
  }
  for (Process& process : producers) process.start();
  for (Process& process : consumers) process.start();
  for (Process& process : producers) ASSERT_TRUE(process.join(tests::patience()));
  EXPECT_TRUE(queue.join(tests::patience()));
  EXPECT_EQ(eaten.qsize(), 6U);
  // Each once, and in order by cook for each eater.
  std::map<std::pair<char, int>, int> times;
  std::map<std::pair<char, pid_t>, int> last;
  while (const auto food = eaten.get_nowait()) {
    EXPECT_EQ(++times[std::pair(food->cook, food->number)], 1);
    int& before = last[std::pair(food->cook, food->eater)];
    EXPECT_GT(food->number, before);
    before = food->number;
  }
  EXPECT_EQ(times.size(), 6U);
  for (Process& process : consumers) {
    EXPECT_TRUE(process.is_alive());
    process.kill();
    process.join();
  }
}

}  // namespace
}  // namespace forkecho::mp
