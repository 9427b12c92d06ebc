#include "common/mp/shared.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

TEST(Value, BeginsWithWhatItIsGiven) {
  PROVES("2.1");
  Value<int> value(5);
  EXPECT_EQ(value.get(), 5);
  value.set(6);
  EXPECT_EQ(value.get(), 6);
  EXPECT_EQ(Value<int>().get(), 0);
}

TEST(Value, IncrementsOfSeveralProcessesAddUp) {
  Value<long> value;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(tests::start_child([&] {
      for (int n = 0; n < 10'000; ++n) value.update([](long& count) { ++count; });
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(value.get(), 40'000);
}

TEST(Value, AnUpdateThatThrowsReleasesTheLock) {
  Value<int> value(1);
  EXPECT_THROW(value.update([](int&) { throw std::runtime_error("on purpose"); }),
               std::runtime_error);
  EXPECT_EQ(value.update([](int& number) { number = 2; }), Acquired::yes);
  EXPECT_EQ(value.get(), 2);
}

/// Starts a child that writes through `shared`.update and is killed inside of it.
template <typename Shared, typename Change>
void kill_inside_update(Shared& shared, Change change) {
  Gate inside;
  const pid_t child = tests::start_child([&] {
    shared.update([&](auto&& object) {
      change(object);
      inside.open();
      pause();
    });
    return 0;
  });
  ASSERT_TRUE(inside.pass());
  kill(child, SIGKILL);
  ASSERT_EQ(tests::exitcode_of(child), -SIGKILL);
}

TEST(Value, AKillInsideAnUpdateIsTold) {
  Value<int> value(1);
  kill_inside_update(value, [](int& number) { number = 99; });
  EXPECT_EQ(value.update([](int& number) {
    EXPECT_EQ(number, 99);  // what was done before the kill is there
    number = 3;
  }),
            Acquired::owner_died);
  EXPECT_EQ(value.update([](int&) {}), Acquired::yes);
  EXPECT_EQ(value.get(), 3);
}

TEST(Value, SetTellsOfADeath) {
  Value<int> value(1);
  kill_inside_update(value, [](int& number) { number = 99; });
  EXPECT_EQ(value.set(3), Acquired::owner_died);
  EXPECT_EQ(value.set(4), Acquired::yes);
}

TEST(Value, GetTellsOfADeathWhenAskedTo) {
  Value<int> value(1);
  kill_inside_update(value, [](int& number) { number = 99; });
  Acquired told = Acquired::timed_out;
  EXPECT_EQ(value.get(&told), 99);
  EXPECT_EQ(told, Acquired::owner_died);
  EXPECT_EQ(value.get(&told), 99);
  EXPECT_EQ(told, Acquired::yes);
}

TEST(Value, AGetThatWasNotAskedKeepsTheNewsForTheNextCall) {
  Value<int> value(1);
  kill_inside_update(value, [](int& number) { number = 99; });
  EXPECT_EQ(value.get(), 99);
  EXPECT_EQ(value.get(), 99);
  EXPECT_EQ(value.update([](int& number) { number = 1; }), Acquired::owner_died);
  EXPECT_EQ(value.set(2), Acquired::yes);
}

TEST(Value, ADeathThatIsToldByTheLockIsToldOnce) {
  Value<int> value(1);
  kill_inside_update(value, [](int&) {});
  {
    const LockGuard guard(value.get_lock());
    EXPECT_TRUE(guard.owner_died());
    EXPECT_EQ(value.set(2), Acquired::yes);
  }
}

struct Everything {
  std::int32_t i;
  double d;
  std::int16_t h;
  std::int64_t q;
  char c;
  bool operator==(const Everything&) const = default;
};

TEST(Value, AChildSetsValuesOfManyTypes) {
  PROVES("cpython:test_value");
  const Everything before{4343, 3.625, -232, std::int64_t{1} << 33, 'x'};
  const Everything after{24234, -4.25, 234, std::int64_t{1} << 34, 'y'};
  Value<std::int32_t> i(before.i);
  Value<double> d(before.d);
  Value<std::int16_t> h(before.h);
  Value<std::int64_t> q(before.q);
  Value<char> c(before.c);
  Value<Everything> together(before);
  const auto now = [&] { return Everything{i.get(), d.get(), h.get(), q.get(), c.get()}; };
  EXPECT_EQ(now(), before);
  EXPECT_EQ(together.get(), before);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              i.set(after.i);
              d.set(after.d);
              h.set(after.h);
              q.set(after.q);
              c.set(after.c);
              together.set(after);
              return 0;
            }),
            0);
  EXPECT_EQ(now(), after);
  EXPECT_EQ(together.get(), after);
}

TEST(Value, HasAnObjectAndALock) {
  PROVES("cpython:test_getobj_getlock");
  Value<int> own(5);
  EXPECT_EQ(own.get_obj(), 5);
  own.get_obj() = 6;
  EXPECT_EQ(own.get(), 6);
  EXPECT_EQ(&own.get_lock(), &own.get_lock());
  RLock lock;
  Value<int> with_given_lock(5, lock);
  Array<int> array_with_given_lock(3, lock);
  EXPECT_EQ(&with_given_lock.get_lock(), &lock);
  EXPECT_EQ(&array_with_given_lock.get_lock(), &lock);
  EXPECT_NE(&own.get_lock(), &lock);
  const LockGuard guard(lock);  // keeps others from both, and the holder from neither
  with_given_lock.set(7);
  array_with_given_lock.set(0, 7);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              const auto at_once = sys::Deadline::immediately();
              return with_given_lock.get_lock().acquire(at_once) == Acquired::timed_out ? 0 : 1;
            }),
            0);
}

TEST(Value, ItsLockMakesSeveralAccessesOne) {
  Value<long> value;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(tests::start_child([&] {
      for (int n = 0; n < 10'000; ++n) {
        const LockGuard guard(value.get_lock());
        value.set(value.get() + 1);
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(value.get(), 40'000);
}

TEST(Array, ChildrenWriteAndTheParentReads) {
  Array<int> array(3);
  EXPECT_EQ(array.size(), 3U);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              array.set(0, 10);
              array.set(2, 12);
              return array.get(0) == 10 ? 0 : 1;
            }),
            0);
  EXPECT_EQ(array.get(0), 10);
  EXPECT_EQ(array.get(1), 0);
  EXPECT_EQ(array.get(2), 12);
}

TEST(Array, EndsWhereItEnds) {
  Array<int> array(3);
  EXPECT_THROW(array.get(3), std::out_of_range);
  EXPECT_THROW(array.set(3, 1), std::out_of_range);
  EXPECT_EQ(array.get(2), 0);  // and the lock is free again
}

void add_up(std::span<int> numbers) {
  std::partial_sum(numbers.begin(), numbers.end(), numbers.begin());
}

TEST(Array, IsASequenceThatAChildChanges) {
  PROVES("2.1", "cpython:test_array");
  std::vector<int> expected{680, 626, 934, 821, 150, 233, 548, 982, 714, 831};
  Array<int> array{std::span<const int>(expected)};
  EXPECT_EQ(array.size(), expected.size());
  EXPECT_EQ(array.get(3), expected[3]);
  EXPECT_EQ(array.get_slice(2, 5), std::vector<int>(expected.begin() + 2, expected.begin() + 7));
  const std::vector<int> four{1, 2, 3, 4};
  array.set_slice(4, four);
  std::ranges::copy(four, expected.begin() + 4);
  EXPECT_EQ(array.get_slice(0, array.size()), expected);
  add_up(expected);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              array.update(add_up);
              return 0;
            }),
            0);
  EXPECT_EQ(array.get_slice(0, array.size()), expected);
}

TEST(Array, OfASizeIsZero) {
  PROVES("cpython:test_array_from_size");
  for (int round = 0; round < 3; ++round) {  // memory of the round before may come back
    Array<int> array(10);
    EXPECT_EQ(array.get_slice(0, 10), std::vector<int>(10));
    array.update([](std::span<int> all) { std::iota(all.begin(), all.end(), 0); });
    EXPECT_EQ(array.get(9), 9);
  }
}

TEST(Array, SlicesEndWhereItEnds) {
  Array<int> array(3);
  const std::vector<int> two(2);
  EXPECT_THROW(array.get_slice(2, 2), std::out_of_range);
  EXPECT_THROW(array.set_slice(2, two), std::out_of_range);
  EXPECT_THROW(array.get_slice(4, 0), std::out_of_range);
  EXPECT_THROW(array.get_slice(1, static_cast<std::size_t>(-1)), std::out_of_range);
  EXPECT_TRUE(array.get_slice(3, 0).empty());
}

TEST(Array, AnUpdateSeesTheWhole) {
  Array<int> array(4);
  array.update([](std::span<int> all) {
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i * i);
  });
  EXPECT_EQ(array.get(3), 9);
}

TEST(Array, AKillInsideAnUpdateIsTold) {
  Array<int> array(2);
  kill_inside_update(array, [](std::span<int> all) { all[0] = 1; });
  EXPECT_EQ(array.get(1), 0);
  EXPECT_EQ(array.update([](std::span<int>) {}), Acquired::owner_died);
  EXPECT_EQ(array.get(0), 1);
  kill_inside_update(array, [](std::span<int>) {});
  EXPECT_EQ(array.set(0, 2), Acquired::owner_died);
  kill_inside_update(array, [](std::span<int>) {});
  EXPECT_EQ(array.set_slice(0, std::vector<int>{1, 2}), Acquired::owner_died);
  kill_inside_update(array, [](std::span<int>) {});
  Acquired told = Acquired::yes;
  EXPECT_EQ(array.get(1, &told), 2);
  EXPECT_EQ(told, Acquired::owner_died);
}

}  // namespace
}  // namespace forkecho::mp
