#include "client/statistics.h"

#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

using Values = std::vector<double>;

TEST(Median, IsTheMiddleValue) {
  EXPECT_EQ(median(Values{3, 1, 2}), 2);
  EXPECT_EQ(median(Values{7}), 7);
}

TEST(Median, OfAnEvenNumberIsTheMeanOfTheTwoInTheMiddle) {
  EXPECT_EQ(median(Values{4, 1, 10, 2}), 3);
}

TEST(Median, OfNothingIsNothing) {
  EXPECT_FALSE(median(Values{}));
}

TEST(Summarise, KeepsTheRoundsInTheirOrder) {
  const auto summary = summarise({5, 1, 3});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->median, 3);
  EXPECT_EQ(summary->min, 1);
  EXPECT_EQ(summary->max, 5);
  EXPECT_EQ(summary->rounds, (Values{5, 1, 3}));
}

TEST(Summarise, HasAnIntervalWithEnoughRounds) {
  EXPECT_FALSE(summarise({1, 2, 3, 4, 5, 6, 7})->interval);
  const auto summary = summarise({1, 2, 3, 4, 5, 6, 7, 8});
  ASSERT_TRUE(summary->interval);
  EXPECT_EQ(summary->interval->low, 1);
  EXPECT_EQ(summary->interval->high, 8);
}

TEST(FairnessOf, IsJainsIndex) {
  EXPECT_EQ(fairness_of(Values{5, 5, 5}), 1);
  EXPECT_EQ(fairness_of(Values{9, 0, 0}), 1.0 / 3);
  EXPECT_EQ(fairness_of(Values{3, 1}), 0.8);
  EXPECT_FALSE(fairness_of(Values{5}));
  EXPECT_FALSE(fairness_of(Values{0, 0}));
}

TEST(Summarise, OfNothingIsNothing) {
  EXPECT_FALSE(summarise({}));
}

TEST(RatioPerRound, ComparesWithinARound) {
  const auto ratio = ratio_per_round(Values{10, 30, 20}, Values{10, 10, 5});
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->rounds, (Values{1, 3, 4}));
  EXPECT_EQ(ratio->median, 3);
}

TEST(RatioPerRound, LeavesOutRoundsWithoutABaseline) {
  const auto ratio = ratio_per_round(Values{10, 30, 20}, Values{0, 10});
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->rounds, (Values{3}));
  EXPECT_FALSE(ratio_per_round(Values{1}, Values{0}));
}

}  // namespace
}  // namespace forkecho::client
