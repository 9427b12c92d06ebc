#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <ctime>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "common/mp/pool.h"
#include "common/mp/raw_shared.h"
#include "common/sys/check_syscall.h"
#include "tests/support/child.h"
#include "tests/support/kill_at_step.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

using tests::KillCount;
using tests::patience;

/// How often each task was begun and came to its end, seen from within the workers.
struct Runs {
  std::atomic<int> begun;
  std::atomic<int> done;
};
constexpr int most_tasks = 4096;
RawArray<Runs>* runs = nullptr;

/// What a task gives back: every fourth is large, so that it crosses as a memory file.
std::vector<int> result_of(int task) {
  return std::vector<int>(task % 4 == 3 ? 20'000 : 10, task * 7);
}

std::vector<int> work(int task) {
  (*runs)[task].begun.fetch_add(1);
  auto result = result_of(task);
  (*runs)[task].done.fetch_add(1);
  return result;
}

/// What became of many tasks.
struct Ends {
  int values = 0;
  int deaths = 0;
};

/// Every result must be there in good time: the task's value, or WorkerDied.
Ends ends_of(std::vector<AsyncResult<std::vector<int>>>& results) {
  Ends ends;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i].wait(patience())) {
      ADD_FAILURE() << "task " << i << " hangs";
      return ends;
    }
    try {
      EXPECT_EQ(results[i].get(), result_of(static_cast<int>(i)));
      ++ends.values;
    } catch (const WorkerDied& died) {
      EXPECT_EQ(died.exitcode(), -SIGKILL);
      EXPECT_EQ(died.task(), i + 1);
      ++ends.deaths;
    }
  }
  return ends;
}

/// Each task ends exactly once, as its callbacks count it.
class PoolWorkerKilled : public testing::Test {
 protected:
  PoolWorkerKilled() { runs = &runs_; }
  ~PoolWorkerKilled() override { runs = nullptr; }

  std::vector<AsyncResult<std::vector<int>>> submit(Pool& pool, int tasks) {
    ended_.assign(static_cast<std::size_t>(tasks), 0);
    std::vector<AsyncResult<std::vector<int>>> results;
    for (int i = 0; i < tasks; ++i) {
      results.push_back(
          pool.apply_async({.callback = [this, i](const std::vector<int>&) { ++ended_[i]; },
                            .error_callback = [this, i](const std::exception&) { ++ended_[i]; }},
                           work, i));
    }
    return results;
  }
  void expect_each_ended_once() const {
    for (std::size_t i = 0; i < ended_.size(); ++i) ASSERT_EQ(ended_[i], 1) << "task " << i;
  }

  RawArray<Runs> runs_{most_tasks};
  std::vector<int> ended_;
};

/// A step that a worker comes to with each task, and whether the task is lost when it is killed
/// there.
struct WorkerStep {
  const char* name;
  bool begun;  // the task that it had
  bool sent;   // and its answer
};

class PoolWorkerKilledAt : public PoolWorkerKilled,
                           public testing::WithParamInterface<WorkerStep> {};

constexpr WorkerStep worker_steps[] = {
    {"pool.worker.received", false, false}, {"pool.worker.begun", true, false},
    {"pool.worker.called", true, false},    {"connection.send.begin", true, false},
    {"connection.send.sent", true, true},   {"pool.worker.answered", true, true},
    {"pool.worker.ready", false, false},
};

INSTANTIATE_TEST_SUITE_P(Steps, PoolWorkerKilledAt, testing::ValuesIn(worker_steps),
                         [](const auto& each) {
                           std::string name = each.param.name;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

/// Kills every worker at the step, a few tasks into its life; `kills` of them in all.
std::function<void()> killer(const WorkerStep& step, const KillCount& kills, unsigned most) {
  return [&step, &kills, most] {
    const std::string name = step.name;
    const unsigned occurrence = name == "pool.worker.ready" ? 1 : 1 + getpid() % 3;
    if (kills.count() < most) tests::kill_at_step(name, kills, occurrence);
  };
}

TEST_P(PoolWorkerKilledAt, EachTaskEndsOnceWithItsValueOrWorkerDied) {
  PROVES("1.5", "2.1", "2.7");
  const WorkerStep& step = GetParam();
  const KillCount kills;
  const int tasks = tests::soak(300, 3000);
  const unsigned most = tasks / 4;
  {
    Pool pool(2, {.initializer = killer(step, kills, most)});
    auto results = submit(pool, tasks);
    const Ends ends = ends_of(results);
    const int lost = step.begun && !step.sent ? static_cast<int>(kills.count()) : 0;
    EXPECT_EQ(ends.deaths, lost) << "as many as were begun and not answered";
    EXPECT_EQ(ends.values, tasks - lost);
    pool.close();
    EXPECT_TRUE(pool.join(patience()));
  }
  expect_each_ended_once();
  EXPECT_GE(kills.count(), most);
  EXPECT_LE(kills.count(), most + 1) << "two workers may decide at the same time";
  for (int i = 0; i < tasks; ++i)
    ASSERT_LE(runs_[i].begun, 1) << "task " << i << " was begun twice";
}

TEST_P(PoolWorkerKilledAt, WithRetryEachTaskEndsWithItsValue) {
  PROVES("2.7");
  const WorkerStep& step = GetParam();
  const KillCount kills;
  const int tasks = tests::soak(300, 3000);
  const unsigned most = tasks / 4;
  {
    Pool pool(2, {.initializer = killer(step, kills, most),
                  .on_worker_death = OnWorkerDeath::retry,
                  .max_retries = most + 1});
    auto results = submit(pool, tasks);
    const Ends ends = ends_of(results);
    EXPECT_EQ(ends.values, tasks);
    EXPECT_EQ(ends.deaths, 0);
  }
  expect_each_ended_once();
  EXPECT_GE(kills.count(), most);
  int more = 0;
  for (int i = 0; i < tasks; ++i) more += runs_[i].begun - 1;
  EXPECT_LE(more, static_cast<int>(kills.count()));
  if (!step.begun || step.sent) {
    EXPECT_EQ(more, 0) << "what had not been begun, or was answered, was done again";
  }
}

/// Workers that die before their initializer: only the first `most` of them, over all processes.
std::atomic<unsigned>* births_to_kill = nullptr;

TEST_F(PoolWorkerKilled, AtTheirBirthTheyAreReplaced) {
  constexpr unsigned most = 50;
  const RawValue<std::atomic<unsigned>> left;
  *left = most;
  births_to_kill = &*left;
  step_observer = [](const char* step) {
    if (std::string(step) != "pool.worker.born") return;
    unsigned before = births_to_kill->load();
    while (before > 0 && !births_to_kill->compare_exchange_weak(before, before - 1)) continue;
    if (before > 0) kill(getpid(), SIGKILL);
  };
  {
    Pool pool(2);
    auto results = submit(pool, 40);
    EXPECT_EQ(ends_of(results).values, 40);
  }
  step_observer = nullptr;
  EXPECT_EQ(*left, 0u);
  expect_each_ended_once();
}

TEST_F(PoolWorkerKilled, IfTheyNeverComeToATaskThePoolIsBroken) {
  step_observer = [](const char* step) {
    if (std::string(step) == "pool.worker.born") kill(getpid(), SIGKILL);
  };
  Pool pool(2);
  const auto result = pool.apply_async(work, 1);
  EXPECT_TRUE(result.wait(patience()));
  EXPECT_THROW(result.get(), PoolBroken);
  step_observer = nullptr;
}

/// An initializer after which the worker is killed by the kernel, at a random moment of its first
/// two milliseconds: no other process must know its id, which may be another's a moment later.
std::function<void()> doomed(const KillCount& births) {
  return [&births] {
    births.add();
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGKILL;
    timer_t timer{};
    sys::check_syscall(timer_create(CLOCK_MONOTONIC, &event, &timer), "timer_create");
    std::minstd_rand random(static_cast<unsigned>(getpid()));
    random.discard(10);
    const itimerspec moment{
        .it_interval = {},
        .it_value = {.tv_sec = 0, .tv_nsec = static_cast<long>(100'000 + random() % 2'000'000)}};
    sys::check_syscall(timer_settime(timer, 0, &moment, nullptr), "timer_settime");
  };
}

class PoolWorkerKilledAtRandom : public PoolWorkerKilled,
                                 public testing::WithParamInterface<OnWorkerDeath> {};

INSTANTIATE_TEST_SUITE_P(Policies, PoolWorkerKilledAtRandom,
                         testing::Values(OnWorkerDeath::fail, OnWorkerDeath::retry),
                         [](const auto& each) {
                           return each.param == OnWorkerDeath::fail ? "fail" : "retry";
                         });

TEST_P(PoolWorkerKilledAtRandom, EachTaskEndsOnce) {
  PROVES("1.5", "2.7");
  const bool retry = GetParam() == OnWorkerDeath::retry;
  const int wanted = tests::soak(500, 5000);
  int kills = 0;
  for (int rounds = 0; kills < wanted && rounds < 10'000; ++rounds) {
    for (Runs& run : runs_.all()) {
      run.begun = 0;
      run.done = 0;
    }
    constexpr int processes = 3;
    constexpr int tasks = 1000;
    const bool replaced = rounds % 4 == 3;
    const KillCount births;
    Pool pool(processes, {.initializer = doomed(births),
                          .maxtasksperchild = replaced ? std::optional(20u) : std::nullopt,
                          .on_worker_death = GetParam(),
                          .max_retries = 100});
    auto results = submit(pool, tasks);
    const Ends ends = ends_of(results);
    // All but those that are there still were killed, unless they left by themselves.
    const int born = static_cast<int>(births.count());
    pool.terminate();
    if (!replaced) kills += born - processes;
    ASSERT_EQ(ends.values + ends.deaths, tasks);
    // A task before which so many died is given up, and on a busy machine that comes to pass.
    const auto given_up_at_most = born / static_cast<int>(most_deaths_before_begun);
    ASSERT_LE(ends.deaths, retry ? given_up_at_most : born);
    expect_each_ended_once();
    int more = 0;
    for (int i = 0; i < tasks; ++i) more += std::max(0, runs_[i].begun - 1);
    ASSERT_LE(more, retry ? born : 0);
  }
  EXPECT_GE(kills, wanted);
}

TEST_F(PoolWorkerKilled, MapAndImapEndWhateverIsKilled) {
  const KillCount births;
  std::vector<int> items(300);
  std::iota(items.begin(), items.end(), 0);
  Pool pool(3, {.initializer = doomed(births)});
  // Lives are short beside the births of slow builds: there it is fewer rounds.
  const auto enough = sys::Deadline::after(std::chrono::seconds(10));
  for (int round = 0; round < tests::soak(20, 200) && !enough.passed(); ++round) {
    const auto all = pool.map_async(work, items);
    ASSERT_TRUE(all.wait(patience()));
    if (all.successful()) {
      EXPECT_EQ(all.get().size(), items.size());
    } else {
      EXPECT_THROW(all.get(), WorkerDied);
    }
    auto each = pool.imap_unordered(work, items);
    int ends = 0;
    for (bool over = false; !over;) {
      ASSERT_TRUE(each.wait(patience()));
      try {
        over = !each.next();
        ends += !over;
      } catch (const WorkerDied&) {
        ++ends;
      }
    }
    ASSERT_EQ(ends, static_cast<int>(items.size()));
  }
  EXPECT_GT(births.count(), 10u);
}

TEST_F(PoolWorkerKilled, TerminateNeverHangsWhateverIsKilled) {
  PROVES("2.7");
  const KillCount births;
  std::minstd_rand random(3);
  for (int round = 0; round < tests::soak(60, 600); ++round) {
    const auto begin = sys::Clock::now();
    Pool pool(3, {.initializer = doomed(births)});
    auto results = submit(pool, 100);
    results[random() % 100].wait(patience());
    pool.terminate();
    ASSERT_TRUE(pool.join(patience()));
    for (auto& result : results) ASSERT_TRUE(result.ready());
    ASSERT_LT(sys::Clock::now() - begin, std::chrono::seconds(10));
  }
}

/// A maker that is killed with tasks in every worker.
TEST(PoolMakerKilled, TheWorkersEndWithIt) {
  PROVES("2.7");
  const tests::AdoptOrphans adopt;
  std::minstd_rand random(5);
  for (int round = 0; round < tests::soak(40, 400); ++round) {
    tests::Pipe alive;
    RawArray<Runs> here(most_tasks);
    runs = &here;
    const pid_t maker = tests::start_child([&] {
      alive.read.reset();
      Pool pool(3, {.maxtasksperchild = 2});
      for (;;) pool.map(work, std::vector<int>(100, 3), 1);
      return 0;
    });
    alive.write.reset();
    const auto moment = sys::Deadline::after(std::chrono::microseconds(random() % 4000));
    while (!moment.passed()) continue;
    kill(maker, SIGKILL);
    ASSERT_EQ(tests::exitcode_of(maker), -SIGKILL);
    ASSERT_TRUE(tests::readable(alive.read.get())) << "a worker lives on";
    ASSERT_TRUE(tests::eventually(patience(), [] {
      while (reap_any().exit) continue;
      return reap_any().none_left;
    }));
  }
  runs = nullptr;
}

}  // namespace
}  // namespace forkecho::mp
