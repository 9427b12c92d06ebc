#include "server/pool_policy.h"

#include <gtest/gtest.h>

#include <utility>

namespace forkecho::server {

void PrintTo(const PoolDecision& decision, std::ostream* out) {
  *out << "spawn " << decision.spawn << ", retire " << decision.retire << ", next burst "
       << decision.next_burst;
}

namespace {

constexpr PoolSizes sizes{.start = 5, .min_spare = 5, .max_spare = 10, .max = 50};

TEST(PoolPolicy, Table) {
  struct Case {
    const char* what;
    PoolState state;
    PoolDecision expected;
  };
  for (const Case& c : {
           Case{"at rest",
                {.idle = 5, .busy = 0, .retiring = 0, .replace = 0, .burst = 1},
                {0, 0, 1}},
           Case{"most spare",
                {.idle = 10, .busy = 3, .retiring = 0, .replace = 0, .burst = 8},
                {0, 0, 1}},
           Case{"one too many",
                {.idle = 11, .busy = 3, .retiring = 0, .replace = 0, .burst = 8},
                {0, 1, 1}},
           Case{"many too many",
                {.idle = 40, .busy = 0, .retiring = 0, .replace = 0, .burst = 1},
                {0, 1, 1}},
           Case{"one missing",
                {.idle = 4, .busy = 9, .retiring = 0, .replace = 0, .burst = 1},
                {1, 0, 2}},
           Case{"first step",
                {.idle = 0, .busy = 5, .retiring = 0, .replace = 0, .burst = 1},
                {1, 0, 2}},
           Case{"second step",
                {.idle = 0, .busy = 6, .retiring = 0, .replace = 0, .burst = 2},
                {2, 0, 4}},
           Case{"no more than missing",
                {.idle = 2, .busy = 9, .retiring = 0, .replace = 0, .burst = 16},
                {3, 0, 32}},
           Case{"the largest burst",
                {.idle = 0, .busy = 9, .retiring = 0, .replace = 0, .burst = 32},
                {5, 0, 32}},
           Case{"no room",
                {.idle = 0, .busy = 50, .retiring = 0, .replace = 0, .burst = 4},
                {0, 0, 1}},
           Case{"room for one",
                {.idle = 0, .busy = 49, .retiring = 0, .replace = 0, .burst = 4},
                {1, 0, 8}},
           Case{"the retiring take up room",
                {.idle = 0, .busy = 40, .retiring = 10, .replace = 0, .burst = 4},
                {0, 0, 1}},
           Case{"the retiring are no spare",
                {.idle = 4, .busy = 0, .retiring = 6, .replace = 0, .burst = 1},
                {1, 0, 2}},
           Case{"full lives are replaced at once",
                {.idle = 1, .busy = 0, .retiring = 0, .replace = 3, .burst = 1},
                {4, 0, 2}},
           Case{"but only those that are missed",
                {.idle = 7, .busy = 0, .retiring = 0, .replace = 3, .burst = 1},
                {0, 0, 1}},
           Case{"nobody there",
                {.idle = 0, .busy = 0, .retiring = 0, .replace = 0, .burst = 1},
                {1, 0, 2}},
       }) {
    EXPECT_EQ(decide_pool_size(c.state, sizes), c.expected) << c.what;
  }
}

TEST(PoolPolicy, KeepsItsBoundsInEveryState) {
  const PoolSizes small{.start = 1, .min_spare = 2, .max_spare = 4, .max = 8};
  for (unsigned idle = 0; idle <= 8; ++idle) {
    for (unsigned busy = 0; busy + idle <= 8; ++busy) {
      for (unsigned retiring = 0; retiring + busy + idle <= 8; ++retiring) {
        for (const unsigned burst : {1U, 4U, 32U}) {
          const auto decision = decide_pool_size(
              {.idle = idle, .busy = busy, .retiring = retiring, .replace = 3, .burst = burst},
              small);
          EXPECT_LE(idle + busy + retiring + decision.spawn, small.max);
          EXPECT_TRUE(decision.retire == 0 || idle - decision.retire >= small.max_spare);
          EXPECT_TRUE(decision.spawn == 0 || idle + decision.spawn <= small.min_spare);
          EXPECT_TRUE(decision.spawn > 0 || idle >= small.min_spare ||
                      idle + busy + retiring == small.max);
        }
      }
    }
  }
}

TEST(PoolPolicy, GrownSizesMoveBothBoundsWithinTheirLimits) {
  const auto bounds = [](int more) {
    const PoolSizes grown = grown_sizes(sizes, more);
    EXPECT_EQ(grown.start, sizes.start);
    EXPECT_EQ(grown.max, sizes.max);
    return std::pair(grown.min_spare, grown.max_spare);
  };
  EXPECT_EQ(bounds(0), std::pair(5U, 10U));
  EXPECT_EQ(bounds(1), std::pair(6U, 11U));
  EXPECT_EQ(bounds(-1), std::pair(4U, 9U));
  EXPECT_EQ(bounds(-7), std::pair(1U, 3U));
  EXPECT_EQ(bounds(-1000), std::pair(1U, 1U));
  EXPECT_EQ(bounds(42), std::pair(47U, 50U));
  EXPECT_EQ(bounds(1000), std::pair(50U, 50U));
}

TEST(PoolPolicy, GrowsFromNothingToItsSpareInAFewSteps) {
  const PoolSizes large{.start = 0, .min_spare = 100, .max_spare = 200, .max = 1000};
  PoolState state{.idle = 0, .busy = 0, .retiring = 0, .replace = 0, .burst = 1};
  int steps = 0;
  for (; state.idle < large.min_spare && steps < 50; ++steps) {
    const auto decision = decide_pool_size(state, large);
    state.idle += decision.spawn;
    state.burst = decision.next_burst;
  }
  EXPECT_EQ(state.idle, 100U);
  EXPECT_EQ(steps, 8);  // 1 2 4 8 16 32 32 5
}

}  // namespace
}  // namespace forkecho::server
