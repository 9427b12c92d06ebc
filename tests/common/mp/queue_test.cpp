#include "common/mp/queue.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using std::chrono::milliseconds;
using sys::Clock;
using sys::Deadline;

constexpr auto short_wait = milliseconds(60);
constexpr auto at_once = milliseconds(1000);  // on a busy machine, too

/// How long `call` took.
template <typename Call>
sys::Duration time_of(Call call) {
  const auto begin = Clock::now();
  call();
  return Clock::now() - begin;
}

TEST(Queue, PutBlocksWhileItIsFullAndEveryWayOfNotBlockingSaysFull) {
  PROVES("3.8", "cpython:test_put");
  Queue<int> queue(6);
  tests::Gate may_get;
  const pid_t child = tests::start_child([&] {
    may_get.pass();
    for (int i = 1; i <= 6; ++i) {
      if (queue.get(tests::patience()) != i) return 1;
    }
    return 0;
  });
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.full());
  EXPECT_TRUE(queue.put(1));
  EXPECT_TRUE(queue.put(2, Deadline::never()));
  EXPECT_TRUE(queue.put(3, tests::patience()));
  EXPECT_TRUE(queue.put(4, Deadline::immediately()));
  EXPECT_TRUE(queue.put(5, Deadline::after(sys::Duration(-1))));
  EXPECT_TRUE(queue.put_nowait(6));
  EXPECT_FALSE(queue.empty());
  EXPECT_TRUE(queue.full());

  EXPECT_LT(time_of([&] { EXPECT_FALSE(queue.put(7, Deadline::immediately())); }), at_once);
  EXPECT_LT(time_of([&] { EXPECT_FALSE(queue.put_nowait(7)); }), at_once);
  EXPECT_GE(time_of([&] { EXPECT_FALSE(queue.put(7, Deadline::after(short_wait))); }), short_wait);

  may_get.open();
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.full());
}

TEST(Queue, GetBlocksWhileItIsEmptyAndEveryWayOfNotBlockingSaysEmpty) {
  PROVES("3.8", "cpython:test_get");
  Queue<int> queue;
  tests::Gate may_put;
  const pid_t child = tests::start_child([&] {
    may_put.pass();
    for (int i = 2; i <= 5; ++i) queue.put(i);
    return 0;
  });
  EXPECT_TRUE(queue.empty());
  may_put.open();
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(queue.get(), 2);
  EXPECT_EQ(queue.get(Deadline::never()), 3);
  EXPECT_EQ(queue.get(tests::patience()), 4);
  EXPECT_EQ(queue.get_nowait(), 5);
  EXPECT_TRUE(queue.empty());

  EXPECT_LT(time_of([&] { EXPECT_FALSE(queue.get(Deadline::immediately())); }), at_once);
  EXPECT_LT(time_of([&] { EXPECT_FALSE(queue.get_nowait()); }), at_once);
  EXPECT_GE(time_of([&] { EXPECT_FALSE(queue.get(Deadline::after(short_wait))); }), short_wait);
}

TEST(Queue, ThreeStringsFillAQueueOfThreeAndComeInTheirOrder) {
  PROVES("3.8");
  Queue<std::string> queue(3);
  EXPECT_TRUE(queue.put("a"));
  EXPECT_TRUE(queue.put("b"));
  EXPECT_TRUE(queue.put("c"));
  EXPECT_TRUE(queue.full());
  const pid_t blocked =
      tests::start_child([&] { return queue.put("d", tests::patience()) ? 0 : 1; });
  EXPECT_FALSE(queue.put_nowait("e"));
  EXPECT_FALSE(queue.put("e", Deadline::after(short_wait)));
  EXPECT_EQ(queue.get(), "a");
  EXPECT_EQ(tests::exitcode_of(blocked), 0);
  EXPECT_EQ(queue.get(), "b");
  EXPECT_EQ(queue.get(), "c");
  EXPECT_EQ(queue.get(), "d");
  EXPECT_EQ(queue.get_nowait(), std::nullopt);
  EXPECT_TRUE(queue.empty());
}

TEST(Queue, TheDefaultSizeIsALimit) {
  PROVES("3.8");
  EXPECT_EQ(default_capacity, 32767);
  for (const long maxsize : {0L, -1L, default_capacity}) {
    Queue<int> queue(maxsize);
    EXPECT_EQ(queue.maxsize(), 32767U);
    for (int i = 0; i < 32767; ++i) ASSERT_TRUE(queue.put_nowait(i));
    EXPECT_TRUE(queue.full());
    EXPECT_FALSE(queue.put_nowait(0));
    EXPECT_EQ(queue.get(), 0);
    EXPECT_TRUE(queue.put_nowait(0));
  }
}

TEST(Queue, ChildAndParentPutIntoOneQueue) {
  PROVES("2.1", "1.5", "cpython:test_fork");
  Queue<int> queue;
  for (int i = 0; i < 10; ++i) queue.put(i);
  const auto exitcode = tests::exitcode_in_child([&] {
    for (int i = 10; i < 20; ++i) queue.put(i);
    return 0;
  });
  EXPECT_EQ(exitcode, 0);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(queue.get_nowait(), i);
  EXPECT_EQ(queue.get_nowait(), std::nullopt);
}

TEST(Queue, TellsItsSize) {
  PROVES("3.8", "cpython:test_qsize");
  Queue<int> queue;
  EXPECT_EQ(queue.qsize(), 0U);
  queue.put(1);
  EXPECT_EQ(queue.qsize(), 1U);
  queue.put(5);
  EXPECT_EQ(queue.qsize(), 2U);
  queue.get();
  EXPECT_EQ(queue.qsize(), 1U);
  queue.get();
  EXPECT_EQ(queue.qsize(), 0U);
}

TEST(Queue, AGetThatWaitsTakesItsWholeTime) {
  PROVES("cpython:test_timeout");
  Queue<int> queue;
  const auto wait = milliseconds(200);  // several times as long as a sleeper's own look
  const auto waited = time_of([&] { EXPECT_FALSE(queue.get(Deadline::after(wait))); });
  EXPECT_GE(waited, wait);
  EXPECT_LT(waited, wait + at_once);
}

TEST(Queue, AClosedQueueRefusesPutAndGetAndSaysWhy) {
  PROVES("cpython:test_closed_queue_put_get_exceptions");
  Queue<std::string> queue;
  queue.put("before");
  queue.close();
  queue.close();
  for (const auto& use : std::vector<std::function<void()>>{
           [&] { queue.put("foo"); }, [&] { queue.put_nowait("foo"); }, [&] { queue.get(); },
           [&] { queue.get_nowait(); }}) {
    try {
      use();
      ADD_FAILURE() << "a closed queue was used";
    } catch (const std::logic_error& error) {
      EXPECT_NE(std::string(error.what()).find("closed queue"), std::string::npos) << error.what();
    }
  }
}

TEST(Queue, CloseIsOfOneProcessAlone) {
  Queue<int> queue;
  const auto exitcode = tests::exitcode_in_child([&] {
    queue.put(1);
    queue.close();
    return 0;
  });
  EXPECT_EQ(exitcode, 0);
  EXPECT_EQ(queue.get_nowait(), 1);
}

TEST(Queue, TwoPutsByAChildOneGetByAnotherAndOneByMainThenEmpty) {
  PROVES("3.9");
  Queue<std::string> queue;
  Queue<std::string> seen;
  Process putter([&] {
    queue.put("drip");
    queue.put("drop");
  });
  Process getter([&] { seen.put("child got " + *queue.get()); });
  putter.start();
  putter.join();
  getter.start();
  ASSERT_TRUE(getter.join(tests::patience()));
  EXPECT_EQ(seen.get_nowait(), "child got drip");
  EXPECT_EQ(queue.get_nowait(), "drop");
  EXPECT_TRUE(queue.empty());
}

TEST(Queue, AMessageLongerThanTheLimitIsRefusedAtOnce) {
  EXPECT_EQ(default_queue_bytes, std::size_t{16} << 20);
  Queue<std::string> queue(10, 1000);
  const std::size_t most = 1000 - sizeof(std::uint64_t);  // its length goes with it
  EXPECT_THROW(queue.put(std::string(most + 1, 'x')), std::length_error);
  EXPECT_TRUE(queue.put_nowait(std::string(most, 'x')));
  EXPECT_THROW(queue.put(std::string(most + 1, 'x')), std::length_error) << "also when it is full";
  EXPECT_EQ(queue.get()->size(), most);
}

TEST(Queue, TheLongestMessageOfAQueueByDefaultComesWhole) {
  Queue<std::vector<std::uint32_t>> queue;
  std::vector<std::uint32_t> numbers((default_queue_bytes - sizeof(std::uint64_t)) / 4);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::uint32_t>(i * 7);
  const pid_t child = tests::start_child([&] {
    for (int i = 0; i < 3; ++i) queue.put(numbers);
    return 0;
  });
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.get(tests::patience()) == numbers);
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(Queue, AnUnusedMaximumOfItemsCostsNothing) {
  Queue<int> queue(1L << 24);
  queue.put(1);
  EXPECT_EQ(queue.get_nowait(), 1);
  EXPECT_THROW(Queue<int>((1L << 31) + 1), std::invalid_argument);
  EXPECT_THROW(Queue<int>(1, 0), std::invalid_argument);
}

struct Numbered {
  int producer;
  int number;
};

/// Whether `got` holds 0, 1, 2 ... `count` - 1 of each producer, in this order.
bool in_order(const std::vector<Numbered>& got, int producers) {
  std::vector<int> next(static_cast<std::size_t>(producers), 0);
  for (const Numbered& item : got) {
    int& expected = next.at(static_cast<std::size_t>(item.producer));
    if (item.number < expected) return false;
    expected = item.number + 1;
  }
  return true;
}

TEST(Queue, SeveralProducersAndConsumersLoseNothingAndKeepEachProducersOrder) {
  PROVES("2.1", "3.8");
  constexpr int producers = 3;
  constexpr int consumers = 3;
  constexpr int each = 20'000;
  for (const long maxsize : {3L, default_capacity}) {
    Queue<Numbered> queue(maxsize);
    RawArray<std::atomic<int>> seen(producers * each);
    std::vector<pid_t> children;
    for (int p = 0; p < producers; ++p) {
      children.push_back(tests::start_child([&] {
        for (int i = 0; i < each; ++i) queue.put({p, i});
        return 0;
      }));
    }
    for (int c = 0; c < consumers; ++c) {
      children.push_back(tests::start_child([&] {
        std::vector<Numbered> got;
        for (int i = 0; i < producers * each / consumers; ++i) {
          got.push_back(*queue.get());
          seen[static_cast<std::size_t>(got.back().producer * each + got.back().number)]++;
        }
        return in_order(got, producers) ? 0 : 1;
      }));
    }
    for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
    for (const auto& count : seen.all()) ASSERT_EQ(count, 1);
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.lost(), 0U);
  }
}

TEST(Queue, ANowaitCallDoesNotFailBecauseAnotherIsInTheMiddle) {
  Queue<int> queue(200'000);
  std::vector<pid_t> children;
  for (int p = 0; p < 3; ++p) {
    children.push_back(tests::start_child([&] {
      for (int i = 0; i < 50'000; ++i) {
        if (!queue.put_nowait(i)) return 1;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(queue.qsize(), 150'000U);
}

TEST(Queue, ThreadsMayUseOneQueue) {
  Queue<int> queue(5);
  constexpr int each = 5'000;
  std::atomic<long> sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int i = 1; i <= each; ++i) queue.put(i);
    });
    threads.emplace_back([&] {
      for (int i = 1; i <= each; ++i) sum += *queue.get();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, long{each} * (each + 1));
}

/// Its decode refuses one value.
struct Refusing {
  int value = 0;
  void encode(Encoder& to) const { to.put(value); }
  static Refusing decode(Decoder& from) {
    const Refusing got{from.get<int>()};
    if (got.value == 13) throw DecodeError("unlucky");
    return got;
  }
};

TEST(Queue, AValueThatCannotBeDecodedIsToldAndTheNextOneCanBeGot) {
  Queue<Refusing> queue;
  queue.put({13});
  queue.put({14});
  EXPECT_THROW(queue.get(), DecodeError);
  EXPECT_EQ(queue.get()->value, 14);
}

struct Odd {
  char letters[13];
  double number;
};

TEST(Queue, CarriesValuesOfEveryKind) {
  Queue<Odd> plain;
  plain.put({"twelve chars", 0.5});
  const auto odd = plain.get();
  EXPECT_STREQ(odd->letters, "twelve chars");
  EXPECT_EQ(odd->number, 0.5);

  using Composed = std::tuple<std::string, std::vector<int>, std::optional<double>>;
  Queue<Composed> composed;
  const Composed value{"text", {1, 2, 3}, std::nullopt};
  composed.put(value);
  EXPECT_EQ(composed.get(), value);

  Queue<std::string> strings;
  for (const std::size_t length : {0U, 1U, 1015U, 1016U, 1017U, 100'000U}) {
    strings.put(std::string(length, 'x'));
    EXPECT_EQ(strings.get(), std::string(length, 'x'));
  }
}

/// Takes all memory from the calling process that malloc could still give.
void exhaust_heap() {
  const rlimit nothing{0, 0};
  sys::check_syscall(setrlimit(RLIMIT_AS, &nothing), "setrlimit");
  for (std::size_t size = 8192; size >= 16; size -= 16) {
    void* volatile taken = nullptr;  // volatile, or the compiler saves itself the call
    do {
      taken = std::malloc(size);
    } while (taken != nullptr);
  }
}

TEST(Queue, APlainValueNeverTouchesTheHeap) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's heap has no end that a process would live to see";
#endif
  Queue<Odd> queue(1000);
  const auto exitcode = tests::exitcode_in_child([&] {
    exhaust_heap();
    for (int i = 0; i < 100; ++i) {
      queue.put({"x", static_cast<double>(i)});
      if (queue.get()->number != i) return 1;
    }
    try {
      operator delete(operator new(100));
      return 2;  // there was memory after all
    } catch (const std::bad_alloc&) {
      return 0;
    }
  });
  EXPECT_EQ(exitcode, 0);
}

}  // namespace
}  // namespace forkecho::mp
