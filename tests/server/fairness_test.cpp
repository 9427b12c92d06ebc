#include "server/fairness.h"

#include <gtest/gtest.h>

#include <vector>

namespace forkecho::server {
namespace {

Fairness of(const std::vector<std::uint64_t>& served) {
  return fairness_of(served);
}

TEST(Fairness, OfEqualsIsOne) {
  EXPECT_EQ(of({5, 5, 5}), (Fairness{3, 5, 5, 1}));
  EXPECT_EQ(of({9}), (Fairness{1, 9, 9, 1}));
}

TEST(Fairness, WhereOneTookAllIsItsShare) {
  EXPECT_EQ(of({0, 8, 0, 0}), (Fairness{4, 0, 8, 0.25}));
}

/// (1 + 2 + 3)^2 / (3 * (1 + 4 + 9)) = 36 / 42
TEST(Fairness, IsJainsIndex) {
  EXPECT_DOUBLE_EQ(of({1, 2, 3}).jain, 36.0 / 42);
  EXPECT_EQ(of({3, 1, 2}).served_min, 1U);
  EXPECT_EQ(of({3, 1, 2}).served_max, 3U);
}

TEST(Fairness, OfNothingIsOne) {
  EXPECT_EQ(of({}), (Fairness{0, 0, 0, 1}));
  EXPECT_EQ(of({0, 0}), (Fairness{2, 0, 0, 1}));
}

/// Figures that a worker gone wrong may have written.
TEST(Fairness, StaysInItsBoundsWhateverItIsGiven) {
  const Fairness wild = of({~std::uint64_t{0}, 1, ~std::uint64_t{0}});
  EXPECT_GE(wild.jain, 1.0 / 3);
  EXPECT_LE(wild.jain, 1.0);
}

}  // namespace
}  // namespace forkecho::server
