#include "common/mp/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <list>
#include <new>
#include <numeric>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using std::chrono::milliseconds;
using sys::Deadline;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAreArray;
using tests::Gate;
using tests::patience;

int square(int n) {
  return n * n;
}
int product(int a, int b) {
  return a * b;
}
void nothing() {}
int no_task_with(int n) {
  throw std::invalid_argument("not " + std::to_string(n));
}
/// A gate that workers inherit: of the test that runs.
Gate* gate = nullptr;
int wait_at_gate(int n) {
  if (!gate->pass()) throw std::runtime_error("the gate stayed shut");
  return n;
}
int die_with(int signal) {
  return kill(getpid(), signal);
}

Deadline soon() {
  return Deadline::after(milliseconds(50));
}

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::vector<int> squares(int count) {
  std::vector<int> all = numbers(count);
  std::transform(all.begin(), all.end(), all.begin(), square);
  return all;
}

/// With a gate that tasks wait at; open at the end, if it was not opened before.
class PoolAtGate : public testing::Test {
 protected:
  PoolAtGate() { gate = &gate_; }
  ~PoolAtGate() override { gate = nullptr; }
  Gate gate_;
};

// ---- apply, map, starmap

TEST(Pool, ApplyCallsInAWorkerAndGivesTheValue) {
  PROVES("1.5", "2.1", "2.7", "cpython:test_apply");
  Pool pool(4);
  EXPECT_EQ(pool.apply(square, 5), 25);
  EXPECT_EQ(pool.apply([](int n) { return n + 1; }, 3), 4);
  EXPECT_NE(pool.apply(getpid), getpid());
  pool.apply(nothing);
}

TEST(Pool, ArgumentsCrossAsTheParametersOfTheFunction) {
  Pool pool(1);
  EXPECT_EQ(pool.apply([](const std::string& text) { return text + "!"; }, "hello"), "hello!");
  EXPECT_EQ(pool.apply([](double x) { return x / 2; }, 3), 1.5);
  EXPECT_EQ(pool.apply([](auto a, auto b) { return a + b; }, std::string("a"), std::string("b")),
            "ab");
  EXPECT_EQ(pool.apply([](std::vector<int>&& all) { return std::move(all); }, squares(5)),
            squares(5));
  EXPECT_EQ(pool.apply([](int& n) { return ++n; }, 1), 2) << "of the worker's own copy";
  EXPECT_EQ(pool.apply(std::plus<>(), 2, 3), 5);
  EXPECT_EQ(pool.apply([]() noexcept { return std::optional(3); }), 3);
}

TEST(Pool, OnlyWhatNeedsNothingElseIsATask) {
  int captured = 0;
  const auto capturing = [&captured](int n) { return captured + n; };
  const auto plain = [](int n) { return n; };
  static_assert(TaskFunction<decltype(&square)>);
  static_assert(TaskFunction<std::remove_const_t<decltype(plain)>>);
  static_assert(!TaskFunction<std::remove_const_t<decltype(capturing)>>);
  static_assert(!TaskFunction<std::function<void()>>);
  static_assert(!TaskFunction<int>);
}

TEST(Pool, MapGivesAllResultsInOrder) {
  PROVES("2.7", "cpython:test_map");
  Pool pool(4);
  EXPECT_EQ(pool.map(square, numbers(10)), squares(10));
  EXPECT_EQ(pool.map(square, numbers(100), 20), squares(100));
  EXPECT_EQ(pool.map(square, numbers(100), 1000), squares(100));
  EXPECT_EQ(pool.map(square, numbers(101), 1), squares(101));
  EXPECT_EQ(pool.map(square, std::list<int>{3, 1, 2}), (std::vector<int>{9, 1, 4}));
  EXPECT_EQ(pool.map([](int n) { return n % 2 == 0; }, numbers(3)),
            (std::vector<bool>{true, false, true}));
  std::istringstream text("1 2 3");  // can be read but once
  EXPECT_EQ(pool.map(square, std::ranges::istream_view<int>(text)), (std::vector<int>{1, 4, 9}));
  pool.map([](int) {}, numbers(3));
}

TEST(Pool, TheDefaultChunksAreAsPythons) {
  Pool pool(2);
  // 20 items over 2 workers: 8 chunks would be 2.5 each, so that they are of 3.
  const auto before = pool.apply_async(nothing);
  pool.map(square, numbers(20));
  const auto result = pool.apply_async(die_with, SIGKILL);
  try {
    result.get();
    ADD_FAILURE();
  } catch (const WorkerDied& died) {
    EXPECT_EQ(died.task(), 1u + 7u + 1u);
  }
}

TEST(Pool, StarmapSpreadsTuples) {
  PROVES("cpython:test_starmap");
  Pool pool(4);
  std::vector<std::pair<int, int>> pairs;
  std::vector<int> products;
  for (int i = 0; i < 100; ++i) {
    pairs.emplace_back(i, 99 - i);
    products.push_back(product(i, 99 - i));
  }
  EXPECT_EQ(pool.starmap(product, pairs), products);
  EXPECT_EQ(pool.starmap(product, pairs, 20), products);
  EXPECT_EQ(pool.starmap_async(product, pairs).get(), products);
  EXPECT_EQ(pool.starmap([](int a, const std::string& b) { return b + std::to_string(a); },
                         std::vector<std::tuple<int, const char*>>{{1, "a"}, {2, "b"}}),
            (std::vector<std::string>{"a1", "b2"}));
  EXPECT_EQ(pool.starmap(product, std::vector<std::array<int, 2>>{{2, 3}}), std::vector{6});
}

TEST(Pool, EmptyIterablesGiveNothing) {
  PROVES("cpython:test_empty_iterable");
  Pool pool(1);
  const std::vector<int> none;
  EXPECT_TRUE(pool.map(square, none).empty());
  EXPECT_TRUE(pool.map_async(square, none, 1).get(patience())->empty());
  EXPECT_TRUE(pool.starmap(product, std::vector<std::pair<int, int>>()).empty());
  EXPECT_EQ(pool.imap(square, none).next(), std::nullopt);
  EXPECT_EQ(pool.imap_unordered(square, none).next(), std::nullopt);
  pool.map([](int) {}, none);
  pool.close();
  EXPECT_TRUE(pool.join(patience()));
}

TEST(Pool, MapMakesAllCallsEvenIfSomeFail) {
  PROVES("cpython:test_map_no_failfast");
  RawArray<std::atomic<int>> calls(1);
  static std::atomic<int>* count = nullptr;
  count = calls.data();
  Pool pool(2);
  for (const std::size_t chunksize : {1, 3, 20}) {
    *count = 0;
    try {
      pool.map(
          [](int n) {
            count->fetch_add(1);
            if (n % 5 == 3) throw std::out_of_range(std::string(1 << 20, 'x') + std::to_string(n));
            return n;
          },
          numbers(20), chunksize);
      ADD_FAILURE() << "expected the error of item 3";
    } catch (const RemoteError& error) {
      EXPECT_EQ(error.type(), "std::out_of_range");
      EXPECT_EQ(error.text().substr(1 << 20), "3");
    }
    EXPECT_EQ(*count, 20);
  }
  pool.close();
  EXPECT_TRUE(pool.join(patience()));
}

// ---- asynchronous results

TEST_F(PoolAtGate, AnAsynchronousResultComesWhenTheTaskIsDone) {
  PROVES("2.7", "cpython:test_async");
  Pool pool(4);
  const auto result = pool.apply_async(wait_at_gate, 49);
  EXPECT_FALSE(result.ready());
  EXPECT_THROW(result.successful(), std::logic_error);
  gate_.open();
  EXPECT_EQ(result.get(), 49);
  EXPECT_EQ(result.get(), 49) << "a second time";
  EXPECT_EQ(result.get(Deadline::immediately()), 49);
  EXPECT_TRUE(result.ready());
  EXPECT_TRUE(result.successful());
  const auto failed = pool.apply_async(no_task_with, 1);
  EXPECT_TRUE(failed.wait(patience()));
  EXPECT_FALSE(failed.successful());
}

TEST_F(PoolAtGate, AnAsynchronousResultHasADeadline) {
  PROVES("cpython:test_async_timeout");
  Pool pool(3);
  const auto result = pool.apply_async(wait_at_gate, 36);
  const auto of_nothing = pool.apply_async([] { wait_at_gate(0); });
  const Deadline deadline = soon();
  EXPECT_EQ(result.get(deadline), std::nullopt);
  EXPECT_TRUE(deadline.passed());
  EXPECT_FALSE(result.wait(soon()));
  EXPECT_FALSE(of_nothing.get(soon()));
  pool.terminate();
  EXPECT_TRUE(pool.join(patience()));
  EXPECT_THROW(result.get(), PoolTerminated);
}

TEST(Pool, ResultsMayBeAskedForInAnyOrder) {
  Pool pool(3);
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 50; ++i) results.push_back(pool.apply_async(square, i));
  for (int i = 49; i >= 0; --i) EXPECT_EQ(results[i].get(), i * i);
}

TEST(Pool, WhatATaskThrowsIsThrownHere) {
  Pool pool(2);
  for (int i = 0; i < 3; ++i) {
    try {
      pool.apply(no_task_with, i);
      ADD_FAILURE();
    } catch (const RemoteError& error) {
      EXPECT_EQ(error.type(), "std::invalid_argument");
      EXPECT_EQ(error.text(), "not " + std::to_string(i));
    }
  }
  EXPECT_EQ(pool.apply(square, 2), 4) << "the worker goes on";
}

TEST(Pool, CallbacksGetTheValueOrTheError) {
  PROVES("2.7", "cpython:test_map_async_callbacks");
  Pool pool(2);
  std::vector<std::string> calls;
  const auto parse = [](const std::string& text) { return std::stoi(text); };
  const Callbacks<std::vector<int>> callbacks{
      .callback = [&](const std::vector<int>& all) { calls.push_back(std::to_string(all.at(0))); },
      .error_callback = [&](const std::exception& error) { calls.push_back(error.what()); }};
  pool.map_async(parse, std::vector<std::string>{"1"}, 0, callbacks).wait();
  EXPECT_THAT(calls, ElementsAre("1"));
  pool.map_async(parse, std::vector<std::string>{"a"}, 0, callbacks).wait();
  EXPECT_THAT(calls, ElementsAre("1", HasSubstr("std::invalid_argument")));
  pool.map_async(parse, std::vector<std::string>{}, 0,
                 Callbacks<std::vector<int>>{.callback =
                                                 [&](const std::vector<int>& all) {
                                                   calls.push_back(all.empty() ? "none" : "some");
                                                 },
                                             .error_callback = {}})
      .wait();
  EXPECT_EQ(calls.back(), "none");
}

TEST(Pool, AnErrorCallbackIsCalledOnce) {
  PROVES("2.7", "cpython:test_async_error_callback");
  Pool pool(2);
  int values = 0;
  std::vector<std::string> errors;
  const auto result = pool.apply_async(
      {.callback = [&](int) { ++values; },
       .error_callback = [&](const std::exception& error) { errors.push_back(error.what()); }},
      no_task_with, 7);
  EXPECT_THROW(result.get(), RemoteError);
  EXPECT_THROW(result.get(), RemoteError);
  EXPECT_EQ(values, 0);
  EXPECT_THAT(errors, ElementsAre("std::invalid_argument: not 7"));
  pool.close();
  EXPECT_TRUE(pool.join(patience()));
}

TEST(Pool, ACallbackMayUseThePool) {
  Pool pool(2);
  int inner = 0;
  std::optional<AsyncResult<int>> next;
  auto outer = pool.apply_async({.callback =
                                     [&](int value) {
                                       inner = pool.apply(square, value);
                                       next.emplace(pool.apply_async(square, inner));
                                     },
                                 .error_callback = {}},
                                square, 2);
  EXPECT_EQ(outer.get(), 4);
  EXPECT_EQ(inner, 16);
  EXPECT_EQ(next->get(), 256);
}

TEST(Pool, WhatACallbackThrowsLeavesTheCallAndLosesNothing) {
  Pool pool(1);
  const auto result =
      pool.apply_async({.callback = [](int) { throw std::runtime_error("from the callback"); },
                        .error_callback = {}},
                       square, 3);
  const auto other = pool.apply_async(square, 4);
  EXPECT_THROW(
      {
        result.wait();
        other.wait();
      },
      std::runtime_error);
  EXPECT_EQ(result.get(), 9);
  EXPECT_EQ(other.get(), 16);
}

TEST(Pool, CallbacksOfResultsThatNobodyKeepsAreCalled) {
  Pool pool(2);
  int sum = 0;
  for (int i = 1; i <= 10; ++i) {
    static_cast<void>(pool.apply_async({.callback = [&](int value) { sum += value; }}, square, i));
  }
  pool.close();
  EXPECT_TRUE(pool.join(patience()));
  EXPECT_EQ(sum, 385);
}

// ---- imap

TEST(Pool, ImapGivesResultsInOrder) {
  PROVES("cpython:test_imap");
  Pool pool(4);
  auto results = pool.imap(square, numbers(10));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(results.next(), i * i);
  EXPECT_EQ(results.next(), std::nullopt);
  EXPECT_EQ(results.next(), std::nullopt);
  std::vector<int> all;
  for (const int value : pool.imap(square, numbers(1000), 100)) all.push_back(value);
  EXPECT_EQ(all, squares(1000));
  EXPECT_THROW(pool.imap(square, numbers(1), 0), std::invalid_argument);
}

TEST_F(PoolAtGate, ImapGivesTheFirstBeforeTheLastIsDone) {
  Pool pool(2);
  auto results = pool.imap([](int n) { return n == 1 ? wait_at_gate(n) : n; }, numbers(4));
  EXPECT_EQ(results.next(), 0);
  EXPECT_FALSE(results.wait(soon()));
  gate_.open();
  EXPECT_EQ(results.next(), 1);
  EXPECT_EQ(results.next(), 2);
}

TEST_F(PoolAtGate, ImapUnorderedGivesResultsAsTheyArrive) {
  PROVES("cpython:test_imap_unordered");
  Pool pool(4);
  std::vector<int> all;
  for (const int value : pool.imap_unordered(square, numbers(1000), 100)) all.push_back(value);
  EXPECT_THAT(all, UnorderedElementsAreArray(squares(1000)));
  auto results =
      pool.imap_unordered([](int n) { return n == 0 ? wait_at_gate(n) : n; }, numbers(10));
  std::set<int> early;
  for (int i = 0; i < 9; ++i) early.insert(*results.next());
  EXPECT_FALSE(early.contains(0));
  EXPECT_EQ(early.size(), 9u);
  gate_.open();
  EXPECT_EQ(results.next(), 0);
  EXPECT_EQ(results.next(), std::nullopt);
}

TEST(Pool, ImapThrowsAnErrorInItsPlaceAndGoesOn) {
  PROVES("cpython:test_imap");
  Pool pool(2);
  auto results = pool.imap([](int n) { return n == 1 ? no_task_with(n) : n; }, numbers(3), 3);
  EXPECT_EQ(results.next(), 0);
  EXPECT_THROW(results.next(), RemoteError);
  EXPECT_EQ(results.next(), 2);
  EXPECT_EQ(results.next(), std::nullopt);
}

TEST_F(PoolAtGate, ImapOfATerminatedPoolEnds) {
  Pool pool(1);
  auto results = pool.imap([](int n) { return n == 1 ? wait_at_gate(n) : n; }, numbers(3));
  EXPECT_EQ(results.next(), 0);
  pool.terminate();
  EXPECT_THROW(results.next(), PoolTerminated);
  EXPECT_EQ(results.next(), std::nullopt);
}

// ---- the life of a pool

TEST(Pool, HasAsManyWorkersAsAsked) {
  PROVES("2.6", "cpython:test_make_pool");
  EXPECT_THROW(Pool(-1), std::invalid_argument);
  EXPECT_THROW(Pool(0), std::invalid_argument);
  EXPECT_THROW(Pool(1, {.maxtasksperchild = 0}), std::invalid_argument);
  Pool three(3);
  EXPECT_EQ(three.processes(), 3u);
  EXPECT_EQ(three.worker_pids().size(), 3u);
  EXPECT_EQ(tests::children_of(getpid()).size(), 3u);
  three.close();
  EXPECT_TRUE(three.join(patience()));
  EXPECT_TRUE(tests::children_of(getpid()).empty());
  Pool usual;
  EXPECT_EQ(usual.processes(), cpu_count());
}

TEST_F(PoolAtGate, CloseTakesNoMoreAndFinishesWhatItHas) {
  PROVES("2.7");
  Pool pool(2);
  const auto waiting = pool.map_async(wait_at_gate, numbers(20), 1);
  pool.close();
  EXPECT_THROW(pool.apply(square, 1), std::logic_error);
  EXPECT_THROW(pool.apply_async(square, 1), std::logic_error);
  EXPECT_THROW(pool.map(square, numbers(1)), std::logic_error);
  EXPECT_THROW(pool.starmap_async(product, std::vector<std::pair<int, int>>()), std::logic_error);
  EXPECT_THROW(pool.imap(square, numbers(1)), std::logic_error);
  EXPECT_FALSE(pool.join(soon()));
  gate_.open();
  EXPECT_TRUE(pool.join(patience()));
  EXPECT_EQ(waiting.get(), numbers(20));
  EXPECT_TRUE(pool.join(patience())) << "a second time";
}

TEST(Pool, JoinBeforeCloseOrTerminateIsAnError) {
  PROVES("2.7");
  Pool pool(1);
  EXPECT_THROW(pool.join(), std::logic_error);
  pool.terminate();
  EXPECT_TRUE(pool.join());
  EXPECT_THROW(pool.apply(square, 1), std::logic_error);
  pool.close();
  pool.terminate();
  EXPECT_TRUE(pool.join());
}

TEST_F(PoolAtGate, TerminateDoesNotWaitForTasks) {
  PROVES("2.7", "cpython:test_terminate");
  Pool pool(3);
  const auto result = pool.map_async(wait_at_gate, numbers(10'000), 1);
  int called = 0;
  const auto other = pool.apply_async(
      {.callback = {}, .error_callback = [&](const std::exception&) { ++called; }}, nothing);
  const auto begin = sys::Clock::now();
  pool.terminate();
  EXPECT_TRUE(pool.join(patience()));
  EXPECT_LT(sys::Clock::now() - begin, std::chrono::seconds(5));
  EXPECT_TRUE(tests::children_of(getpid()).empty());
  EXPECT_TRUE(result.ready());
  EXPECT_THROW(result.get(), PoolTerminated);
  EXPECT_THROW(other.get(), PoolTerminated);
  EXPECT_EQ(called, 0) << "the end of a pool calls no callbacks";
}

TEST(Pool, SigtermEndsTheWorkersOfAMakerThatIgnoresIt) {
  std::signal(SIGTERM, SIG_IGN);
  Pool pool(2);
  for (const pid_t pid : pool.worker_pids()) {
    EXPECT_TRUE(tests::eventually(patience(), [&] {
      kill(pid, SIGTERM);  // again: a newborn worker ignores it as its maker does
      return tests::state_of(pid) == 'Z';
    }));
  }
  std::signal(SIGTERM, SIG_DFL);
}

TEST_F(PoolAtGate, TheEndOfItsScopeTerminates) {
  PROVES("cpython:test_terminate");
  std::optional<AsyncResult<int>> result;
  {
    Pool pool(2);
    result.emplace(pool.apply_async(wait_at_gate, 1));
  }
  EXPECT_TRUE(tests::children_of(getpid()).empty());
  EXPECT_THROW(result->get(), PoolTerminated);
}

TEST_F(PoolAtGate, TerminateEndsWorkersThatIgnoreItOrAreStopped) {
  Pool pool(2);
  const auto ignoring = pool.apply_async([] {
    std::signal(SIGTERM, SIG_IGN);
    gate->open();
    for (;;) pause();
  });
  ASSERT_TRUE(gate_.pass());
  const auto pids = pool.worker_pids();
  kill(pids[1], SIGSTOP);
  pool.terminate();
  EXPECT_TRUE(pool.join(patience()));
  EXPECT_TRUE(tests::children_of(getpid()).empty());
}

TEST(Pool, TasksBeginInTheOrderOfTheirSubmission) {
  PROVES("2.7");
  RawArray<std::atomic<int>> order(101);
  static std::atomic<int>* begun = nullptr;
  begun = order.data();  // the first counts, the others are in the order of beginning
  Pool pool(1);
  pool.map([](int n) { begun[1 + begun[0]++] = n; }, numbers(100), 1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(begun[1 + i], i);
}

TEST(Pool, AllWorkersTakePart) {
  PROVES("2.6");
  RawArray<std::atomic<int>> arrived(1);
  static std::atomic<int>* count = nullptr;
  count = arrived.data();
  Pool pool(3);
  const auto pids = pool.map(
      [](int) {
        count->fetch_add(1);
        tests::eventually(patience(), [] { return *count == 3; });
        return getpid();
      },
      numbers(3), 1);
  EXPECT_EQ(std::set<pid_t>(pids.begin(), pids.end()).size(), 3u);
}

TEST_F(PoolAtGate, NoTaskWaitsBehindALongOne) {
  Pool pool(2);
  const auto long_one = pool.apply_async(wait_at_gate, 1);
  for (int round = 0; round < 20; ++round) {
    std::vector<AsyncResult<int>> others;
    for (int i = 0; i < 5; ++i) others.push_back(pool.apply_async(square, i));
    for (int i = 0; i < 5; ++i) ASSERT_EQ(others[i].get(patience()), i * i);
  }
  EXPECT_FALSE(long_one.ready());
  gate_.open();
  EXPECT_EQ(long_one.get(), 1);
}

TEST_F(PoolAtGate, ATaskMayWaitForALaterOne) {
  Pool pool(2);
  const auto first = pool.apply_async(wait_at_gate, 1);
  std::vector<AsyncResult<int>> between;
  for (int i = 0; i < 10; ++i) between.push_back(pool.apply_async(square, i));
  const auto last = pool.apply_async([] { gate->open(); });
  EXPECT_EQ(first.get(patience()), 1);
}

TEST(Pool, HugeTasksAndHugeResultsDoNotBlockEachOther) {
  Pool pool(2);
  const std::vector<int> huge = numbers(1 << 19);
  std::vector<AsyncResult<std::vector<int>>> results;
  for (int i = 0; i < 12; ++i)
    results.push_back(pool.apply_async([](std::vector<int> all) { return all; }, huge));
  for (const auto& result : results) ASSERT_EQ(result.get(patience()), huge);
  const auto large_packets = std::vector<Bytes>(40, Bytes(Connection::inline_limit - 100));
  for (const auto& each : pool.map([](const Bytes& bytes) { return bytes; }, large_packets, 1))
    ASSERT_EQ(each.size(), Connection::inline_limit - 100);
}

/// Encodes as more than a message can be, without being it.
struct TooLong {
  void encode(Encoder&) const { throw std::length_error("too long to be sent"); }
  static TooLong decode(Decoder&) { return {}; }
};

TEST(Pool, WhatCannotBeEncodedIsAnErrorAndNoWorkerIsLost) {
  Pool pool(1);
  EXPECT_THROW(pool.apply([](TooLong) {}, TooLong{}), std::length_error);
  const auto worker = pool.worker_pids();
  for (int i = 0; i < 20; ++i) {
    try {
      pool.apply([] { return TooLong{}; });
      ADD_FAILURE();
    } catch (const RemoteError& error) {
      EXPECT_EQ(error.type(), "std::length_error");
    }
  }
  EXPECT_EQ(pool.apply(square, 3), 9);
  EXPECT_EQ(pool.worker_pids(), worker);
}

TEST(Pool, AResultThatCannotBeSentIsAnError) {
  Pool pool(1);
  try {
    pool.apply([] {
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit small{.rlim_cur = 1000, .rlim_max = 1000};  // no memory file for the result
      setrlimit(RLIMIT_FSIZE, &small);
      return Bytes(1 << 20);
    });
    ADD_FAILURE();
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.type(), "std::system_error");
  }
}

TEST(Pool, BelongsToItsMaker) {
  Pool pool(1);
  const auto result = pool.apply_async(square, 1);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              int errors = 0;
              const auto expect_error = [&](auto call) {
                try {
                  call();
                } catch (const std::logic_error&) {
                  ++errors;
                }
              };
              expect_error([&] { pool.apply(square, 1); });
              expect_error([&] { pool.close(); });
              expect_error([&] { pool.terminate(); });
              expect_error([&] { pool.join(); });
              expect_error([&] { result.wait(); });
              pool.~Pool();  // harms nobody
              return errors;
            }),
            5);
  EXPECT_EQ(result.get(), 1);
  static Pool* self = nullptr;
  self = &pool;
  Pool inner(1);
  EXPECT_THROW(inner.apply([] { return self->apply(square, 1); }), RemoteError);
}

TEST_F(PoolAtGate, WorkersDieWithTheirMakerWhateverTheyDo) {
  PROVES("2.7");
  const tests::AdoptOrphans adopt;
  tests::Pipe alive;
  const pid_t maker = tests::start_child([&] {
    alive.read.reset();
    Pool pool(3);
    const auto endless = pool.apply_async([] {
      gate->open();
      for (;;) pause();
    });
    gate_.pass();
    return kill(getpid(), SIGKILL);
  });
  alive.write.reset();
  EXPECT_EQ(tests::exitcode_of(maker), -SIGKILL);
  EXPECT_TRUE(tests::readable(alive.read.get())) << "a worker lives on";
  EXPECT_TRUE(tests::eventually(patience(), [] { return reap_any().none_left; }));
}

TEST(Pool, AWorkerHasNoConnectionButItsOwn) {
  Pool pool(3);
  for (const pid_t pid : pool.worker_pids()) {
    ASSERT_TRUE(tests::sleeps(pid));
    int sockets = 0;
    for (const auto& [number, what] : tests::descriptors_of(pid))
      sockets += what.starts_with("socket:");
    EXPECT_EQ(sockets, 1);
  }
}

TEST(Pool, WorkersEndThoughAnotherProcessHasACopyOfTheConnections) {
  Pool pool(2);
  const Gate done;
  const pid_t holder = tests::start_child([&] { return done.pass() ? 0 : 1; });
  pool.close();
  EXPECT_TRUE(pool.join(patience()));
  const_cast<Gate&>(done).open();
  EXPECT_EQ(tests::exitcode_of(holder), 0);
}

TEST(Pool, ADaemonProcessMayNotHaveOne) {
  Process daemon([] {
    close(STDERR_FILENO);
    Pool pool(1);
  });
  daemon.set_daemon(true);
  daemon.start();
  EXPECT_TRUE(daemon.join(patience()));
  EXPECT_EQ(daemon.exitcode(), 1);
}

TEST(Pool, RefusedDescriptorsLeaveNothingBehind) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{.rlim_cur = 8, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  EXPECT_THROW(Pool(20), std::system_error);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(tests::children_of(getpid()).empty());
}

TEST(Pool, AWorkerThatCannotBeReplacedIsMissedUntilItCan) {
  Pool pool(2);
  pool.map(square, numbers(2), 1);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_THROW(pool.apply(die_with, SIGKILL), WorkerDied);
  EXPECT_EQ(pool.apply(square, 3), 9);
  EXPECT_EQ(pool.worker_pids().size(), 1u);
  EXPECT_THROW(pool.apply(die_with, SIGKILL), WorkerDied);
  const auto waiting = pool.apply_async(square, 4);
  EXPECT_THROW(waiting.get(), std::system_error);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(waiting.get(), 16);
  EXPECT_EQ(pool.worker_pids().size(), 2u);
}

TEST(Pool, HandingInATaskGivesItsResultWhateverCallbacksThrow) {
  Pool pool(1);
  pool.apply(nothing);
  const auto dies = pool.apply_async(
      {.error_callback = [](const std::exception&) { throw std::runtime_error("callback"); }},
      die_with, SIGKILL);
  const auto worker = pool.worker_pids().at(0);
  ASSERT_TRUE(tests::eventually(patience(), [&] { return tests::state_of(worker) == 'Z'; }));
  const auto next = pool.apply_async(square, 5);  // meets the death
  EXPECT_THROW(next.get(), std::runtime_error);
  EXPECT_EQ(next.get(), 25);
  EXPECT_THROW(dies.get(), WorkerDied);
}

TEST(Pool, AnAnswerThatCannotBeReceivedIsTheErrorOfItsTask) {
  Pool pool(1);
  pool.apply(nothing);
  const auto large = pool.apply_async([] { return Bytes(1 << 20); });
  const auto small = pool.apply_async(square, 5);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_TRUE(large.wait(patience()));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THROW(large.get(), std::system_error);
  EXPECT_EQ(small.get(), 25);
}

TEST(Pool, ATaskThatCannotBeReceivedEndsWithTheReason) {
  Pool pool(1, {.initializer = [] {
              const rlimit none{.rlim_cur = 3, .rlim_max = 3};
              if (setrlimit(RLIMIT_NOFILE, &none) != 0) throw std::runtime_error("setrlimit");
            }});
  const auto length = [](const std::string& text) { return text.size(); };
  const std::string large(1 << 20, 'x');
  EXPECT_THROW(pool.map(length, std::vector<std::string>{large, large}, 2), RemoteError);
  EXPECT_THROW(pool.apply(length, large), RemoteError);
  EXPECT_EQ(pool.apply(length, std::string("small")), 5u);
}

TEST(Pool, ATaskWhoseMessageKillsItsWorkersEndsAfterAFew) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's own allocator does not ask the new-handler";
#endif
  // As the kernel does when there is no memory left.
  Pool pool(1, {.initializer = [] {
              std::set_new_handler([] { raise(SIGKILL); });
              const rlimit none{.rlim_cur = 1, .rlim_max = 1};
              if (setrlimit(RLIMIT_AS, &none) != 0) throw std::runtime_error("setrlimit");
            }});
  const auto task = pool.apply_async([](const std::string& text) { return text.size(); },
                                     std::string(std::size_t{64} << 20, 'x'));
  EXPECT_TRUE(task.wait(patience()));
  EXPECT_THROW(task.get(), WorkerDied);
}

TEST(Pool, EveryTaskEndsThoughCallbacksThrow) {
  Pool pool(1, {.initializer = [] { leave(1); }});
  std::vector<AsyncResult<int>> results;
  int calls = 0;
  for (int i = 0; i < 3; ++i) {
    results.push_back(pool.apply_async({.error_callback =
                                            [&calls](const std::exception&) {
                                              ++calls;
                                              throw std::runtime_error("callback");
                                            }},
                                       square, i));
  }
  EXPECT_THROW(results[0].wait(), std::runtime_error);
  EXPECT_EQ(calls, 3);
  for (const auto& result : results) EXPECT_THROW(result.get(), PoolBroken);
}

// ---- workers that are replaced

TEST(Pool, AWorkerIsReplacedAfterItsNumberOfTasks) {
  PROVES("2.6", "cpython:test_pool_worker_lifetime");
  Pool pool(3, {.maxtasksperchild = 10});
  const auto first = pool.worker_pids();
  EXPECT_EQ(first.size(), 3u);
  std::vector<AsyncResult<std::pair<int, pid_t>>> results;
  for (int i = 0; i < 100; ++i)
    results.push_back(pool.apply_async([](int n) { return std::pair(n * n, getpid()); }, i));
  std::map<pid_t, int> tasks_of;
  for (int i = 0; i < 100; ++i) {
    const auto [value, pid] = results[i].get();
    EXPECT_EQ(value, i * i);
    ++tasks_of[pid];
  }
  for (const auto& [pid, tasks] : tasks_of) EXPECT_LE(tasks, 10);
  EXPECT_GE(tasks_of.size(), 10u);
  const auto all_replaced = [&] {
    pool.map(square, numbers(30), 1);
    const auto now = pool.worker_pids();
    EXPECT_LE(now.size(), 3u);  // one that has done its number is replaced at the next turn
    return std::none_of(first.begin(), first.end(),
                        [&](pid_t pid) { return std::count(now.begin(), now.end(), pid) > 0; });
  };
  EXPECT_TRUE(tests::eventually(patience(), all_replaced));
  pool.close();
  EXPECT_TRUE(pool.join(patience()));
}

TEST(Pool, WorkersAreReplacedAfterCloseWhileTasksWait) {
  PROVES("2.6", "cpython:test_pool_worker_lifetime_early_close");
  Pool pool(3, {.maxtasksperchild = 1});
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 6; ++i) {
    results.push_back(pool.apply_async(
        [](int n) {
          poll(nullptr, 0, 30);
          return n * n;
        },
        i));
  }
  pool.close();
  EXPECT_TRUE(pool.join(patience()));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(results[i].get(), i * i);
}

TEST(Pool, TheInitializerRunsOnceInEachWorker) {
  PROVES("2.6", "cpython:test_pool_initializer");
  RawArray<std::atomic<int>> counts(1);
  static int set_by_initializer = 0;
  const int argument = 17;
  {
    Pool pool(4, {.initializer = [&counts, argument] {
                counts[0].fetch_add(1);
                set_by_initializer = argument;
              }});
    for (const int seen : pool.map([](int) { return set_by_initializer; }, numbers(40), 1))
      EXPECT_EQ(seen, 17);
    pool.close();
    EXPECT_TRUE(pool.join(patience()));
  }
  EXPECT_EQ(counts[0], 4);
  EXPECT_EQ(set_by_initializer, 0) << "in the workers alone";
}

TEST(Pool, AnInitializerThatFailsBreaksThePool) {
  PROVES("2.6");
  RawArray<std::atomic<int>> counts(1);
  Pool pool(2, {.initializer = [&counts] {
              counts[0].fetch_add(1);
              throw std::runtime_error("no database");
            }});
  int failed = 0;
  const auto result = pool.apply_async(
      {.callback = {}, .error_callback = [&](const std::exception&) { ++failed; }}, nothing);
  try {
    result.get();
    ADD_FAILURE();
  } catch (const PoolBroken& error) {
    EXPECT_THAT(error.what(), HasSubstr("std::runtime_error: no database"));
  }
  EXPECT_EQ(failed, 1);
  EXPECT_LE(counts[0], 6) << "it goes on for ever";
  EXPECT_THROW(pool.apply(square, 1), PoolBroken);
  EXPECT_TRUE(tests::children_of(getpid()).empty());
  pool.close();
  EXPECT_TRUE(pool.join(patience()));
}

TEST(Pool, AnInitializerThatDiesBreaksThePool) {
  Pool pool(2, {.initializer = [] { leave(7); }});
  try {
    pool.map(square, numbers(10));
    ADD_FAILURE();
  } catch (const PoolBroken& error) {
    EXPECT_THAT(error.what(), HasSubstr("exit code 7"));
  }
}

TEST(Pool, WorkersThatAreKilledInTheInitializerDoNotBreakThePool) {
  RawArray<std::atomic<int>> counts(1);
  Pool pool(1, {.initializer = [&counts] {
              if (counts[0].fetch_add(1) < 10) raise(SIGKILL);
            }});
  EXPECT_EQ(pool.apply(square, 3), 9);
  EXPECT_EQ(counts[0], 11);
}

TEST(Pool, AnInitializerThatFailsNowAndThenDoesNot) {
  RawArray<std::atomic<int>> counts(1);
  Pool pool(1, {.initializer =
                    [&counts] {
                      if (counts[0].fetch_add(1) % 3 != 2) throw std::runtime_error("not now");
                    },
                .maxtasksperchild = 1});
  EXPECT_EQ(pool.map(square, numbers(10), 1), squares(10));
}

// ---- workers that die

TEST(Pool, ATaskWhoseWorkerDiesIsToldHow) {
  PROVES("2.7");
  Pool pool(2);
  std::vector<std::string> errors;
  const auto killed = pool.apply_async(
      {.callback = {},
       .error_callback = [&](const std::exception& e) { errors.push_back(e.what()); }},
      die_with, SIGKILL);
  try {
    killed.get();
    ADD_FAILURE();
  } catch (const WorkerDied& died) {
    EXPECT_EQ(died.exitcode(), -SIGKILL);
    EXPECT_EQ(died.task(), 1u);
  }
  EXPECT_THAT(errors, ElementsAre(HasSubstr("exit code -9")));
  try {
    pool.apply([] { leave(3); });
    ADD_FAILURE();
  } catch (const WorkerDied& died) {
    EXPECT_EQ(died.exitcode(), 3);
    EXPECT_EQ(died.task(), 2u);
  }
  EXPECT_EQ(pool.apply(square, 6), 36);
  EXPECT_EQ(pool.worker_pids().size(), 2u);
}

TEST(Pool, AMapWhoseWorkerDiesIsToldAndTheRestIsDone) {
  RawArray<std::atomic<int>> done(20);
  static std::atomic<int>* flags = nullptr;
  flags = done.data();
  Pool pool(2);
  EXPECT_THROW(pool.map(
                   [](int n) {
                     if (n == 7) die_with(SIGKILL);
                     flags[n] = 1;
                   },
                   numbers(20), 1),
               WorkerDied);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(done[i], i != 7) << i;
}

TEST(Pool, ATaskIsRetriedAsOftenAsAllowed) {
  RawArray<std::atomic<int>> attempts(1);
  static std::atomic<int>* count = nullptr;
  count = attempts.data();
  Pool pool(2, {.on_worker_death = OnWorkerDeath::retry, .max_retries = 2});
  EXPECT_EQ(pool.apply([] {
    if (count->fetch_add(1) < 2) die_with(SIGKILL);
    return 5;
  }),
            5);
  EXPECT_EQ(*count, 3);
  *count = 0;
  EXPECT_THROW(pool.apply([] {
    count->fetch_add(1);
    die_with(SIGKILL);
  }),
               WorkerDied);
  EXPECT_EQ(*count, 3);
}

TEST(Pool, ADeadIdleWorkerCostsNoTask) {
  Pool pool(2);
  pool.map(square, numbers(2), 1);
  for (int round = 0; round < 10; ++round) {
    for (const pid_t pid : pool.worker_pids()) {
      kill(pid, SIGKILL);
      ASSERT_TRUE(tests::eventually(patience(), [&] {
        const char state = tests::state_of(pid);
        return state == 'Z' || state == '-';  // the start of another's successor reaps it, too
      }));
    }
    ASSERT_EQ(pool.apply(square, round), round * round);
  }
}

TEST(Pool, ADeadWorkersChildDoesNotHideItsDeath) {
  const tests::AdoptOrphans adopt;
  Pool pool(1);
  const auto begin = sys::Clock::now();
  EXPECT_THROW(pool.apply([] {
    tests::start_child([] {
      poll(nullptr, 0, 3000);  // holds the connection open
      return 0;
    });
    die_with(SIGKILL);
  }),
               WorkerDied);
  EXPECT_LT(sys::Clock::now() - begin, std::chrono::seconds(2));
  EXPECT_EQ(pool.apply(square, 3), 9);
  for (const pid_t orphan : tests::children_of(getpid())) {
    if (orphan == pool.worker_pids().at(0)) continue;
    kill(orphan, SIGKILL);
    EXPECT_EQ(tests::exitcode_of(orphan), -SIGKILL);
  }
}

TEST(Pool, AWorkerThatClosesItsConnectionIsReplaced) {
  Pool pool(1);
  EXPECT_THROW(pool.apply([] {
    for (int fd = 3; fd < 100; ++fd) close(fd);
    pause();
  }),
               WorkerDied);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

TEST(Pool, WhatAWorkerHadNotBegunIsDoneByAnother) {
  Pool pool(1);
  const auto first = pool.apply_async(die_with, SIGKILL);
  const auto second = pool.apply_async(square, 2);
  EXPECT_EQ(second.get(), 4);
  EXPECT_THROW(first.get(), WorkerDied);
}

TEST(Pool, EndsThatAreReapedElsewhereAreEnds) {
  std::signal(SIGCHLD, SIG_IGN);  // the kernel reaps
  {
    Pool pool(2, {.maxtasksperchild = 5});
    EXPECT_THROW(pool.apply(die_with, SIGKILL), WorkerDied);
    EXPECT_EQ(pool.map(square, numbers(20), 1), squares(20));
    pool.close();
    EXPECT_TRUE(pool.join(patience()));
  }
  std::signal(SIGCHLD, SIG_DFL);
}

TEST(Pool, SignalHandlersOfTheMakerDoNotDisturb) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGCHLD, &action, &before), 0);  // without SA_RESTART
  {
    Pool pool(2);
    for (int i = 0; i < 20; ++i) EXPECT_THROW(pool.apply(die_with, SIGKILL), WorkerDied);
    EXPECT_EQ(pool.map(square, numbers(20), 1), squares(20));
  }
  ASSERT_EQ(sigaction(SIGCHLD, &before, nullptr), 0);
}

}  // namespace
}  // namespace forkecho::mp
