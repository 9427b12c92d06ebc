#include "client/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "client/statistics.h"
#include "tests/support/soak.h"

namespace forkecho::client {
namespace {

std::vector<double> rounds(std::mt19937_64& random, std::size_t count, double middle,
                           double spread) {
  std::lognormal_distribution<double> distribution(std::log(middle), spread);
  std::vector<double> values(count);
  for (double& value : values) value = distribution(random);
  return values;
}

// Tables of Student's distribution, as in any textbook.
TEST(StudentQuantile, IsThatOfTheTables) {
  EXPECT_NEAR(student_quantile(0.975, 1), 12.706, 1e-3);
  EXPECT_NEAR(student_quantile(0.975, 2), 4.303, 1e-3);
  EXPECT_NEAR(student_quantile(0.995, 4), 4.604, 1e-3);
  EXPECT_NEAR(student_quantile(0.995, 7), 3.499, 1e-3);
  EXPECT_NEAR(student_quantile(0.975, 30), 2.042, 1e-3);
  EXPECT_NEAR(student_quantile(0.975, 1000), 1.962, 1e-3);
}

TEST(FewestValues, AreThoseWhoseRangeCoversTheMedianOftenEnough) {
  EXPECT_EQ(fewest_values(0.95), 6U);
  EXPECT_EQ(fewest_values(0.99), 8U);
}

TEST(IntervalOfMedian, IsEmptyForTooFew) {
  const double values[] = {1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_FALSE(interval_of_median(std::span(values).first(7)));
  EXPECT_TRUE(interval_of_median(values));
  EXPECT_FALSE(interval_of_median({}));
}

TEST(IntervalOfMedian, LiesAroundTheMedianWithinTheValues) {
  std::mt19937_64 random(1);
  const auto values = rounds(random, 20, 100, 0.1);
  const auto interval = interval_of_median(values);
  ASSERT_TRUE(interval);
  EXPECT_LT(interval->low, *median(values));
  EXPECT_GT(interval->high, *median(values));
  EXPECT_GE(interval->low, std::ranges::min(values));
  EXPECT_LE(interval->high, std::ranges::max(values));
  EXPECT_EQ(interval->low, interval_of_median(values)->low) << "the same each time";
}

TEST(IntervalOfMedian, OfTheSameValueIsThatValue) {
  const std::vector<double> values(9, 5.0);
  EXPECT_EQ(interval_of_median(values)->low, 5);
  EXPECT_EQ(interval_of_median(values)->high, 5);
}

/// How many of `experiments` intervals miss the true median.
int misses(std::size_t count, int experiments) {
  std::mt19937_64 random(count);
  int missed = 0;
  for (int i = 0; i < experiments; ++i) {
    const auto interval = interval_of_median(rounds(random, count, 1, 0.2));
    missed += interval->low > 1 || interval->high < 1;
  }
  return missed;
}

TEST(IntervalOfMedian, MissesTheTruthNotMoreOftenThanItSays) {
  const int experiments = tests::soak(300, 3000);
  for (const std::size_t count : {8U, 9U, 15U, 30U}) {
    // 1 % of them, and three deviations of that many draws more.
    const double expected = 0.01 * experiments;
    EXPECT_LE(misses(count, experiments), expected + 3 * std::sqrt(expected)) << count;
  }
}

TEST(IntervalOfMedian, FindsADifferenceOfATenth) {
  std::mt19937_64 random(3);
  int found = 0;
  for (int i = 0; i < 20; ++i) {
    found += difference_of(interval_of_median(rounds(random, 15, 0.9, 0.05))) == Difference::less;
  }
  EXPECT_GE(found, 19);
}

TEST(DifferenceOf, IsClaimedOnlyBeyondOne) {
  EXPECT_EQ(difference_of(std::nullopt), Difference::unknown);
  EXPECT_EQ(difference_of(Interval{0.9, 1.1}), Difference::none);
  EXPECT_EQ(difference_of(Interval{1, 1.1}), Difference::none);
  EXPECT_EQ(difference_of(Interval{1.01, 1.1}), Difference::more);
  EXPECT_EQ(difference_of(Interval{0.9, 0.99}), Difference::less);
  EXPECT_EQ(to_string(Difference::none), "no difference");
  EXPECT_EQ(to_string(Difference::unknown), "too few to say");
}

}  // namespace
}  // namespace forkecho::client
