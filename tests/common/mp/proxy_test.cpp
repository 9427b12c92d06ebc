#include "common/mp/proxy.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <new>
#include <numeric>
#include <system_error>

#include "common/mp/manager.h"
#include "tests/support/child.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using std::string;
using sys::Deadline;
using tests::patience;
using Ints = std::vector<int>;

struct AManager : testing::Test {
  Manager manager;
};
using DictOfAManager = AManager;
using ListOfAManager = AManager;
using NamespaceOfAManager = AManager;
using NestedInAManager = AManager;
using QueueOfAManager = AManager;
using LockOfAManager = AManager;

TEST_F(ListOfAManager, DoesWhatAListDoes) {
  PROVES("2.1", "cpython:manager:test_list");
  Ints numbers(10);
  std::iota(numbers.begin(), numbers.end(), 0);
  const auto a = manager.list(numbers);
  EXPECT_EQ(a.copy(), numbers);
  const auto b = manager.list<int>();
  EXPECT_TRUE(b.empty());
  b.extend({0, 1, 2, 3, 4});
  EXPECT_EQ(b.get(2), 2);
  EXPECT_EQ(b.slice(2, 10), (Ints{2, 3, 4}));
  b.extend(b.copy());
  EXPECT_EQ(b.copy(), (Ints{0, 1, 2, 3, 4, 0, 1, 2, 3, 4}));
  EXPECT_EQ(b.count(3), 2u);
  b.append(5);
  b.insert(0, -1);
  b.set(1, 100);
  EXPECT_EQ(b.pop(), 5);
  EXPECT_EQ(b.pop(0), -1);
  EXPECT_EQ(b.index(100), 0u);
  EXPECT_EQ(b.index(7), std::nullopt);
  EXPECT_TRUE(b.remove(100));
  EXPECT_FALSE(b.contains(100));
  EXPECT_EQ(b.size(), 9u);
  b.sort();
  EXPECT_EQ(b.copy(), (Ints{0, 1, 1, 2, 2, 3, 3, 4, 4}));
  b.reverse();
  EXPECT_EQ(b.get(0), 4);
  b.sort(std::greater<>());
  EXPECT_EQ(b.get(-1), 0);
  b.clear();
  EXPECT_EQ(b.copy(), Ints{});
  EXPECT_EQ(a.copy(), numbers);
}

TEST_F(ListOfAManager, AnIndexOutsideCrossesAsOutOfRange) {
  const auto list = manager.list<int>({1, 2, 3});
  EXPECT_THROW(list.get(3), std::out_of_range);
  EXPECT_THROW(list.set(-4, 0), std::out_of_range);
  list.clear();
  try {
    list.pop();
    FAIL();
  } catch (const std::out_of_range& error) {
    EXPECT_STREQ(error.what(), "index -1 in a list of 0");
  }
}

TEST_F(ListOfAManager, IsSharedByChildrenAndEachAppendIsWhole) {
  PROVES("1.5");
  const auto list = manager.list<string>();
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child) {
    children.push_back(tests::start_child([&] {
      for (int i = 0; i < 50; ++i) list.append(string(static_cast<std::size_t>(i), 'x'));
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(list.size(), 200u);
  EXPECT_EQ(list.count(string(49, 'x')), 4u);
}

TEST_F(DictOfAManager, DoesWhatADictDoes) {
  PROVES("2.1", "cpython:manager:test_dict");
  const auto dict = manager.dict<int, string>();
  for (int key = 65; key < 70; ++key) dict.set(key, string(1, static_cast<char>(key)));
  EXPECT_EQ(dict.copy(),
            (std::map<int, string>{{65, "A"}, {66, "B"}, {67, "C"}, {68, "D"}, {69, "E"}}));
  EXPECT_EQ(dict.keys(), (Ints{65, 66, 67, 68, 69}));
  EXPECT_EQ(dict.values(), (std::vector<string>{"A", "B", "C", "D", "E"}));
  EXPECT_EQ(dict.items().at(1), (std::pair<int, string>(66, "B")));
  EXPECT_EQ(dict.get(1), std::nullopt);
  EXPECT_THROW(dict.at(1), std::out_of_range);
  EXPECT_EQ(dict.at(65), "A");
  EXPECT_TRUE(dict.contains(66));
  EXPECT_EQ(dict.setdefault(66, "x"), "B");
  EXPECT_EQ(dict.setdefault(70, "F"), "F");
  EXPECT_EQ(dict.pop(70), "F");
  EXPECT_EQ(dict.pop(70), std::nullopt);
  EXPECT_TRUE(dict.erase(65));
  EXPECT_FALSE(dict.erase(65));
  dict.update({{1, "one"}, {66, "two"}});
  EXPECT_EQ(dict.get(66), "two");
  dict.update(std::map<int, string>{{2, "zwei"}});
  EXPECT_EQ(dict.popitem(), (std::pair<int, string>(2, "zwei")));
  EXPECT_EQ(dict.size(), 5u);
  dict.clear();
  EXPECT_TRUE(dict.empty());
  EXPECT_EQ(dict.popitem(), std::nullopt);
}

TEST_F(DictOfAManager, ReplaceAndModifyLoseNoUpdateOfAnother) {
  const auto dict = manager.dict<string, long>();
  EXPECT_TRUE(dict.replace("n", std::nullopt, 0));
  EXPECT_FALSE(dict.replace("n", 1, 2));
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child) {
    children.push_back(tests::start_child([&] {
      for (int i = 0; i < 100; ++i) dict.modify("n", [](std::optional<long> n) { return *n + 1; });
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(dict.get("n"), 400);
  EXPECT_TRUE(dict.replace("n", 400, std::nullopt));
  EXPECT_FALSE(dict.contains("n"));
}

TEST_F(DictOfAManager, HoldsValuesLongerThanAPacket) {
  const auto dict = manager.dict<int, string>();
  const string large(std::size_t{16} << 20, 'x');
  dict.set(1, large);
  EXPECT_EQ(dict.get(1), large);
}

TEST_F(NamespaceOfAManager, HoldsNamedValuesOfAnyType) {
  PROVES("2.1", "cpython:manager:test_namespace");
  const auto names = manager.name_space();
  names.set("name", "Bob");
  names.set("job", string("Builder"));
  names.set("age", 7);
  EXPECT_EQ(names.get<string>("name"), "Bob");
  EXPECT_EQ(names.get<int>("age"), 7);
  EXPECT_EQ(names.get<int>("none"), std::nullopt);
  EXPECT_EQ(names.names(), (std::vector<string>{"name", "job", "age"}));
  EXPECT_TRUE(names.del("job"));
  EXPECT_FALSE(names.del("job"));
  EXPECT_FALSE(names.contains("job"));
  EXPECT_TRUE(names.contains("name"));
  EXPECT_EQ(tests::exitcode_in_child([&] {
              names.set("name", "Alice");
              return names.get<int>("age").value_or(0);
            }),
            7);
  EXPECT_EQ(names.get<string>("name"), "Alice");
}

TEST_F(NamespaceOfAManager, AValueReadAsAnotherTypeIsADecodeError) {
  const auto names = manager.name_space();
  names.set("age", 7);
  EXPECT_THROW(names.get<unsigned>("age"), DecodeError);
}

TEST_F(NestedInAManager, ListsInAList) {
  PROVES("cpython:manager:test_nested");
  const auto lists = manager.list<ListProxy<int>>();
  for (int i = 0; i < 5; ++i) lists.append(manager.list<int>({0, 1, 2}));
  const auto inner = lists.get(0);
  inner.set(-1, 55);
  EXPECT_EQ(lists.get(0).copy(), (Ints{0, 1, 55}));
  for (int i = 1; i < 5; ++i) EXPECT_EQ(lists.get(i).copy(), (Ints{0, 1, 2}));
  EXPECT_EQ(lists.get(1).pop(), 2);
  EXPECT_EQ(lists.get(1).size(), 2u);
  lists.pop(0);
  EXPECT_EQ(inner.get(-1), 55);  // the object lives on
  EXPECT_EQ(inner, inner);
  EXPECT_FALSE(inner == lists.get(0));
}

TEST_F(NestedInAManager, DictsInADictAndInChildren) {
  PROVES("cpython:manager:test_nested");
  using Counts = DictProxy<string, int>;
  const auto pets = manager.dict<string, int>();
  pets.update({{"ferrets", 2}, {"hamsters", 4}});
  const auto all = manager.dict<string, Counts>();
  all.set("pets", pets);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              all.at("pets").set("dogs", 1);
              const auto supplies = manager.dict<string, int>();
              supplies.set("water", 10);
              all.set("supplies", supplies);
              return 0;
            }),
            0);
  EXPECT_EQ(pets.get("dogs"), 1);
  EXPECT_EQ(all.at("supplies").get("water"), 10);
}

TEST_F(NestedInAManager, EveryKindOfProxyCrosses) {
  const auto names = manager.name_space();
  names.set("queue", manager.queue<int>(5));
  names.set("lock", manager.lock());
  names.set("rlock", manager.rlock());
  names.set("names", names);
  names.get<QueueProxy<int>>("queue")->put(4711);
  EXPECT_EQ(names.get<QueueProxy<int>>("queue")->get(patience()), 4711);
  EXPECT_EQ(names.get<LockProxy>("lock")->acquire(patience()), Acquired::yes);
  EXPECT_THROW(names.get<LockProxy>("lock")->acquire(), std::logic_error);
  EXPECT_EQ(names.get<RLockProxy>("rlock")->acquire(patience()), Acquired::yes);
  EXPECT_TRUE(names.get<Namespace>("names")->contains("lock"));
}

TEST_F(NestedInAManager, AProxyOfAnotherTypeDoesNotDecode) {
  Encoder encoder;
  encoder.put(manager.list<int>());
  EXPECT_NO_THROW(decode<ListProxy<int>>(encoder.view()));
  EXPECT_THROW(decode<ListProxy<long>>(encoder.view()), DecodeError);
  EXPECT_THROW(decode<QueueProxy<int>>(encoder.view()), DecodeError);
}

TEST_F(QueueOfAManager, GivesItemsOnceAndInOrder) {
  PROVES("2.1", "cpython:manager:test_queue");
  const auto queue = manager.queue<string>(3);
  EXPECT_TRUE(queue.empty());
  EXPECT_TRUE(queue.put("a"));
  EXPECT_TRUE(queue.put("b"));
  EXPECT_TRUE(queue.put_nowait("c"));
  EXPECT_TRUE(queue.full());
  EXPECT_EQ(queue.qsize(), 3u);
  EXPECT_FALSE(queue.put_nowait("d"));
  EXPECT_FALSE(queue.put("d", Deadline::after(std::chrono::milliseconds(20))));
  EXPECT_EQ(queue.get(), "a");
  EXPECT_EQ(queue.get(patience()), "b");
  EXPECT_EQ(queue.get_nowait(), "c");
  EXPECT_EQ(queue.get_nowait(), std::nullopt);
  const auto begun = sys::Clock::now();
  EXPECT_EQ(queue.get(Deadline::after(std::chrono::milliseconds(50))), std::nullopt);
  EXPECT_GE(sys::Clock::now() - begun, std::chrono::milliseconds(50));
  EXPECT_FALSE(queue.full());
}

TEST_F(QueueOfAManager, AnItemForWhichThereIsNoDescriptorGoesBackToTheHead) {
  const auto queue = manager.queue<string>();
  const string large(std::size_t{1} << 20, 'x');
  queue.put(large);
  queue.put("next");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_THROW(queue.get(), std::system_error);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(queue.qsize(), 2u);
  EXPECT_EQ(queue.get(patience()), large);
  EXPECT_EQ(queue.get(patience()), "next");
}

/// Decodes when there is memory for it, and in one case never.
struct Delicate {
  static inline bool memory_is_out = false;
  int value = 0;
  void encode(Encoder& to) const { to.put(value); }
  static Delicate decode(Decoder& from) {
    if (memory_is_out) throw std::bad_alloc();
    const int value = from.get<int>();
    if (value == 13) throw DecodeError("13");
    return {value};
  }
};

TEST_F(QueueOfAManager, AnItemIsTakenWhenItHasBeenDecoded) {
  const auto queue = manager.queue<Delicate>();
  for (const int value : {13, 14}) queue.put({value});
  Delicate::memory_is_out = true;
  EXPECT_THROW(queue.get(), std::bad_alloc);
  Delicate::memory_is_out = false;
  EXPECT_EQ(queue.qsize(), 2u);
  EXPECT_THROW(queue.get(), DecodeError);
  EXPECT_EQ(queue.get_nowait()->value, 14) << "what never decodes must not block the head";
  EXPECT_EQ(queue.qsize(), 0u);
}

TEST_F(QueueOfAManager, AWaitingGetIsServedByALaterPut) {
  const auto queue = manager.queue<int>();
  const pid_t getter = tests::start_child([&] { return queue.get(patience()).value_or(1); });
  const pid_t putter = tests::start_child([&] { return queue.put(42) ? 0 : 1; });
  EXPECT_EQ(tests::exitcode_of(putter), 0);
  EXPECT_EQ(tests::exitcode_of(getter), 42);
}

TEST_F(LockOfAManager, ExcludesAndTellsOfADeadHolder) {
  PROVES("2.1", "cpython:manager:test_lock");
  const auto lock = manager.lock();
  EXPECT_EQ(lock.acquire(), Acquired::yes);
  EXPECT_THROW(lock.acquire(), std::logic_error);
  EXPECT_EQ(
      tests::exitcode_in_child([&] {
        if (lock.acquire(Deadline::immediately()) != Acquired::timed_out) return 1;
        if (lock.acquire(Deadline::after(std::chrono::milliseconds(20))) != Acquired::timed_out)
          return 2;
        try {
          lock.release();
        } catch (const std::logic_error&) {
          return 0;
        }
        return 3;
      }),
      0);
  lock.release();
  EXPECT_THROW(lock.release(), std::logic_error);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              lock.acquire();
              return kill(getpid(), SIGKILL);
            }),
            -SIGKILL);
  EXPECT_EQ(lock.acquire(patience()), Acquired::owner_died);
  lock.release();
  EXPECT_EQ(lock.acquire(patience()), Acquired::yes);
}

TEST_F(LockOfAManager, AGuardHoldsItForAScope) {
  const auto lock = manager.lock();
  {
    const ManagedLockGuard guard(lock);
    EXPECT_FALSE(guard.owner_died());
    EXPECT_THROW(lock.acquire(), std::logic_error);
  }
  EXPECT_EQ(lock.acquire(Deadline::immediately()), Acquired::yes);
  lock.release();
  const ManagedLockGuard guard(lock);
  manager.shutdown();  // and the guard ends without an exception
}

TEST_F(LockOfAManager, AGuardEndsWithoutAnErrorThoughItsLockWasRemovedOrLost) {
  const auto removed = manager.lock();
  const auto lost = manager.lock();
  {
    const ManagedLockGuard guard_of_removed(removed);
    const ManagedLockGuard guard_of_lost(lost);
    manager.remove(removed);
    lost.release();
  }
  EXPECT_THROW(removed.acquire(), std::logic_error);
  EXPECT_EQ(lost.acquire(Deadline::immediately()), Acquired::yes);
  lost.release();
}

TEST_F(LockOfAManager, AnRLockIsAcquiredAgainByItsHolder) {
  const auto lock = manager.rlock();
  EXPECT_EQ(lock.acquire(), Acquired::yes);
  EXPECT_EQ(lock.acquire(), Acquired::yes);
  lock.release();
  EXPECT_EQ(tests::exitcode_in_child([&] {
              return lock.acquire(Deadline::immediately()) == Acquired::timed_out ? 0 : 1;
            }),
            0);
  lock.release();
  EXPECT_THROW(lock.release(), std::logic_error);
}

}  // namespace
}  // namespace forkecho::mp
