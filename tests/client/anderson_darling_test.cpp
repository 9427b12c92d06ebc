#include "client/anderson_darling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "client/pacer.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

TEST(AndersonDarling, PointsOfTheDistributionAreThoseOfTheTables) {
  // D'Agostino and Stephens, Goodness-of-Fit Techniques, table 4.2, case 0.
  const auto p_of = [](double wanted) {
    // Evenly spaced numbers, all moved towards 0 by a power, until the statistic is `wanted`.
    double power = 1;
    AndersonDarling result;
    for (double step = 1; step > 1e-9; step /= 2) {
      std::vector<double> numbers;
      for (int i = 0; i < 200; ++i) numbers.push_back(std::pow((i + 0.5) / 200, power + step));
      result = test_evenness(numbers);
      if (result.a_squared < wanted) power += step;
    }
    EXPECT_NEAR(result.a_squared, wanted, 1e-3);
    return result.p;
  };
  EXPECT_NEAR(p_of(1.248), 0.25, 0.001);
  EXPECT_NEAR(p_of(1.933), 0.10, 0.001);
  EXPECT_NEAR(p_of(2.492), 0.05, 0.001);
  EXPECT_NEAR(p_of(3.857), 0.01, 0.0005);
}

TEST(AndersonDarling, StatisticOfTwoNumbersByHand) {
  // −2 − ½·[ln ¼ + ln(1−¾) + 3·(ln ¾ + ln(1−¼))]
  const double by_hand = -2 - 0.5 * (2 * std::log(0.25) + 6 * std::log(0.75));
  EXPECT_NEAR(test_evenness({0.75, 0.25}).a_squared, by_hand, 1e-12);
}

TEST(AndersonDarling, EvenNumbersAreRejectedAsOftenAsPSays) {
  std::mt19937_64 random;
  std::uniform_real_distribution<double> even;
  int rejected = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<double> numbers(50);
    for (double& number : numbers) number = even(random);
    if (test_evenness(numbers).p < 0.05) ++rejected;
  }
  EXPECT_NEAR(rejected, 100, 40);
}

TEST(AndersonDarling, ImpossibleNumbersAreRejectedAndNotInfinite) {
  const AndersonDarling result = test_evenness({0, 1, 0, 1, 0, 0, 0, 1});
  EXPECT_TRUE(std::isfinite(result.a_squared));
  EXPECT_LT(result.p, 1e-6);
}

TEST(AndersonDarling, ErlangIsTheSumOfExponentials) {
  EXPECT_NEAR(erlang_cdf(1, 1), 1 - std::exp(-1), 1e-12);
  EXPECT_NEAR(erlang_cdf(2, 3), 1 - std::exp(-3) * 4, 1e-12);
  EXPECT_NEAR(erlang_cdf(1000, 1000), 0.5042, 0.0002);
  EXPECT_EQ(erlang_cdf(3, 0), 0);
  EXPECT_NEAR(std::log(erlang_cdf(20, 0.1)), 20 * std::log(0.1) - 0.1 - std::lgamma(21), 0.01);
  for (const std::uint64_t shape : {1U, 2U, 30U}) {  // both forms meet where x = shape
    const auto at = static_cast<double>(shape);
    EXPECT_NEAR(erlang_cdf(shape, at * (1 - 1e-9)), erlang_cdf(shape, at * (1 + 1e-9)), 1e-8);
  }
  EXPECT_NEAR(erlang_cdf(2000, 4000), 1, 1e-12);
}

std::vector<sys::Duration> planned(Arrivals arrivals, const RateCurve& curve,
                                   std::uint64_t stride) {
  std::vector<sys::Duration> at;
  Schedule schedule(curve, arrivals, measured_part(LoadPlan{}));
  for (; !schedule.over(); schedule.advance()) {
    if (schedule.number() % stride == 0) at.push_back(schedule.due());
  }
  return at;
}

TEST(AndersonDarling, PoissonPlanPassesAndAConstantOneDoesNot) {
  for (const double rate : {20.0, 500.0, 1000.0, 12'345.0, 300'000.0}) {
    for (const auto ramp : {0ns, sys::Duration(4s)}) {
      const RateCurve curve(rate, ramp);
      const std::uint64_t stride = arrival_stride(rate);
      const auto poisson = test_arrivals(curve, stride, planned(Arrivals::poisson, curve, stride));
      const auto constant =
          test_arrivals(curve, stride, planned(Arrivals::constant, curve, stride));
      ASSERT_TRUE(poisson && constant);
      EXPECT_GT(poisson->p, 0.01) << rate;
      EXPECT_LT(constant->p, 1e-6) << rate;
    }
  }
}

TEST(AndersonDarling, PoissonOfAnotherRateFails) {
  const RateCurve asked(1000, 0ns);
  const RateCurve sent(800, 0ns);
  const std::uint64_t stride = arrival_stride(1000);
  EXPECT_LT(test_arrivals(asked, stride, planned(Arrivals::poisson, sent, stride))->p, 1e-6);
}

TEST(AndersonDarling, RequestsThatOvertookEachOtherDoNotSpoilIt) {
  const RateCurve curve(500, 0ns);
  auto at = planned(Arrivals::poisson, curve, 1);
  const auto in_order = test_arrivals(curve, 1, at);
  for (std::size_t i = 0; i + 1 < at.size(); i += 10) std::swap(at[i], at[i + 1]);
  EXPECT_DOUBLE_EQ(test_arrivals(curve, 1, at)->a_squared, in_order->a_squared);
}

TEST(AndersonDarling, UnknownMomentsAreLeftOut) {
  const RateCurve curve(1000, 0ns);
  auto at = planned(Arrivals::poisson, curve, 2);
  const auto all = test_arrivals(curve, 2, at);
  at[100] = 0ns;
  const auto fewer = test_arrivals(curve, 2, at);
  EXPECT_EQ(fewer->count + 2, all->count);
  EXPECT_GT(fewer->p, 0.01);
  EXPECT_FALSE(test_arrivals(curve, 2, std::span(at).first(15)));
}

}  // namespace
}  // namespace forkecho::client
