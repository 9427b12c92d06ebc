#include "common/mp/shared.h"

#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>
#include <vector>

#include "tests/support/child.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

TEST(Value, BeginsWithWhatItIsGiven) {
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

TEST(Value, ItsLockMakesSeveralAccessesOne) {
  Value<int> value(1);
  ASSERT_EQ(value.get_lock().acquire(), Acquired::yes);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              const auto at_once = sys::Deadline::after({});
              return value.get_lock().acquire(at_once) == Acquired::timed_out ? 0 : 1;
            }),
            0);
  value.get_lock().release();
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
  EXPECT_EQ(array.update([](std::span<int>) {}), Acquired::owner_died);
  EXPECT_EQ(array.get(0), 1);
}

}  // namespace
}  // namespace forkecho::mp
