#include "common/mp/shared.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/kill_rounds.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

struct Pair {
  long first;
  long second;
};

enum Wrong { none, torn_without_a_word };

/// What Value and Array have in common: an update that leaves two numbers alike.
template <typename Shared, typename PairOf>
class Counted {
 public:
  Counted(Shared& shared, PairOf pair_of) : shared_(shared), pair_of_(pair_of) {}

  /// A pair that is found torn must have been announced by the same call.
  int add_to_both() {
    bool torn = false;
    const Acquired acquired = shared_.update([&](auto&& all) {
      auto [first, second] = pair_of_(all);
      torn = first != second;
      ++first;
      FORKECHO_MP_STEP("test.value.half");
      second = first;
    });
    if (acquired == Acquired::owner_died) ++*told_;
    return torn && acquired != Acquired::owner_died ? torn_without_a_word : none;
  }

  long told() const { return *told_; }

 private:
  Shared& shared_;
  PairOf pair_of_;
  RawValue<std::atomic<long>> told_;
};

template <typename Shared, typename PairOf>
void kill_its_writers(Shared& shared, PairOf pair_of) {
  Counted counted(shared, pair_of);
  tests::Survivors survivors;
  survivors.start(3, [&] { return counted.add_to_both(); });
  const auto victim = [&] { counted.add_to_both(); };
  const int times = tests::soak(150, 1500);
  tests::kill_each_at("test.value.half", times, victim);
  const long last = shared.update([](auto&&) {}) == Acquired::owner_died ? 1 : 0;
  EXPECT_EQ(counted.told() + last, times);  // each of them, once
  tests::kill_each_at("value.access.done", times, victim);
  tests::kill_each_at_random(tests::soak(250, 2500), victim);
  survivors.stop();
}

TEST(ValueKilled, WritersAtAnyMoment) {
  PROVES("0.5");
  Value<Pair> value(Pair{});
  kill_its_writers(value, [](Pair& pair) { return std::tie(pair.first, pair.second); });
}

TEST(ArrayKilled, WritersAtAnyMoment) {
  PROVES("0.5");
  Array<long> array(2);
  kill_its_writers(array, [](std::span<long> all) { return std::tie(all[0], all[1]); });
}

}  // namespace
}  // namespace forkecho::mp
