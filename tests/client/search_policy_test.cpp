#include "client/search_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

namespace forkecho::client {
namespace {

using Server = std::function<SearchTrial(double rps)>;

SearchPolicy search(SearchLimits limits, const Server& server) {
  SearchPolicy policy(limits);
  while (const auto rps = policy.next()) policy.tell(server(*rps));
  return policy;
}

Server with_limit(double limit) {
  return [limit](double rps) { return SearchTrial{.rps = rps, .holds = rps <= limit}; };
}

TEST(SearchPolicy, FindsTheLimitFromAnywhere) {
  for (const double limit : {0.5, 7.3, 800.0, 1000.0, 1001.0, 12'345.0, 3'000'000.0}) {
    for (const double first : {0.1, 1000.0, 1e7}) {
      const SearchPolicy policy = search({.first_rps = first}, with_limit(limit));
      EXPECT_EQ(policy.end(), SearchEnd::found) << limit;
      ASSERT_TRUE(policy.highest_holding());
      EXPECT_LE(*policy.highest_holding(), limit);
      EXPECT_GE(*policy.highest_holding(), limit * 0.98);
      EXPECT_GT(*policy.lowest_failing(), limit);
      EXPECT_LE(*policy.lowest_failing(), limit * 1.021);
    }
  }
}

// A queue with one server of fixed service time s (M/D/1): the mean wait is ρ s / (2 (1 - ρ)), and
// the 99th percentile of the wait is about ln(100) times s / (2 (1 - ρ)) near saturation. A limit
// on it is a limit on the rate, which can be solved for.
TEST(SearchPolicy, FindsTheLimitOfAQueueWithin5Percent) {
  std::mt19937_64 random(11);
  const double service_s = 0.001;
  const double allowed_s = 0.020;
  const double p99_factor = std::log(100.0) * service_s / 2;
  const double limit = (1 - p99_factor / (allowed_s - service_s)) / service_s;
  std::normal_distribution<double> noise(1, 0.03);
  const Server server = [&](double rps) {
    const double load = rps * service_s;
    const double p99 = load >= 1 ? 1e9 : service_s + p99_factor / (1 - load);
    return SearchTrial{.rps = rps, .holds = p99 * noise(random) < allowed_s};
  };
  for (int i = 0; i < 50; ++i) {
    const SearchPolicy policy = search({.first_rps = 100}, server);
    ASSERT_TRUE(policy.highest_holding());
    EXPECT_NEAR(*policy.highest_holding(), limit, limit * 0.05);
  }
}

TEST(SearchPolicy, IsNotMisledByASingleBadRepeat) {
  for (unsigned bad = 0; bad < 40; ++bad) {
    unsigned trial = 0;
    const Server server = [&](double rps) {
      const bool holds = rps <= 5000;
      return SearchTrial{.rps = rps, .holds = trial++ == bad ? !holds : holds};
    };
    const SearchPolicy policy = search({}, server);
    ASSERT_TRUE(policy.highest_holding());
    EXPECT_NEAR(*policy.highest_holding(), 5000, 250) << bad;
  }
}

TEST(SearchPolicy, TakesBackWhatWasLuck) {
  // It holds 8000 the first three times it is asked anything, and 1000 ever after.
  unsigned trial = 0;
  const Server server = [&](double rps) {
    return SearchTrial{.rps = rps, .holds = rps <= (trial++ < 6 ? 8000 : 1000)};
  };
  const SearchPolicy policy = search({.first_rps = 4000}, server);
  EXPECT_EQ(policy.end(), SearchEnd::found);
  EXPECT_NEAR(*policy.highest_holding(), 1000, 50);
}

TEST(SearchPolicy, IsSeldomMisledByWholeStepsThatAreDisturbed) {
  std::mt19937_64 random(4);
  int right = 0;
  for (int i = 0; i < 100; ++i) {
    unsigned trial = 0;
    bool disturbed = false;
    const Server server = [&](double rps) {
      if (trial++ % 2 == 0) disturbed = random() % 20 == 0;
      return SearchTrial{.rps = rps, .holds = rps <= 5000 && !disturbed};
    };
    const SearchPolicy policy = search({}, server);
    right += policy.highest_holding() && std::abs(*policy.highest_holding() - 5000) < 250;
  }
  EXPECT_GE(right, 95);
}

TEST(SearchPolicy, MakesAnInvalidMeasurementAgain) {
  std::mt19937_64 random(6);
  int right = 0;
  for (int i = 0; i < 100; ++i) {
    const Server server = [&](double rps) {
      return SearchTrial{.rps = rps, .holds = rps <= 5000, .invalid = random() % 5 == 0};
    };
    const SearchPolicy policy = search({}, server);
    right += policy.end() == SearchEnd::found && policy.highest_holding() &&
             std::abs(*policy.highest_holding() - 5000) < 250;
  }
  EXPECT_GE(right, 95);
}

TEST(SearchPolicy, StopsARateAsSoonAsItIsDecided) {
  SearchPolicy policy({.first_rps = 100, .repeats = 3});
  policy.tell({.rps = 100, .holds = true});
  EXPECT_EQ(policy.next(), 100);
  policy.tell({.rps = 100, .holds = true});
  EXPECT_EQ(policy.next(), 200) << "the third repeat could not change it";
  EXPECT_EQ(policy.steps()[0].held, 2U);
}

TEST(SearchPolicy, SaysWhereTheBoundsAre) {
  const SearchPolicy nothing = search({.lowest_rps = 10}, with_limit(1));
  EXPECT_EQ(nothing.end(), SearchEnd::nothing_holds);
  EXPECT_FALSE(nothing.highest_holding());
  const SearchPolicy everything = search({.highest_rps = 1e5}, with_limit(1e9));
  EXPECT_EQ(everything.end(), SearchEnd::everything_holds);
  EXPECT_EQ(everything.highest_holding(), 1e5);
}

TEST(SearchPolicy, SaysWhenTheGeneratorIsTheLimit) {
  const Server server = [](double rps) {
    return SearchTrial{.rps = rps, .holds = true, .invalid = rps > 3000};
  };
  const SearchPolicy policy = search({}, server);
  EXPECT_EQ(policy.end(), SearchEnd::generator_limited);
  EXPECT_NEAR(*policy.highest_holding(), 3000, 100);
}

TEST(SearchPolicy, GivesUpWhereEveryRateIsInvalid) {
  const SearchPolicy policy = search(
      {}, [](double rps) { return SearchTrial{.rps = rps, .holds = true, .invalid = true}; });
  EXPECT_EQ(policy.end(), SearchEnd::generator_limited);
  EXPECT_FALSE(policy.highest_holding());
  EXPECT_EQ(policy.steps().size(), 5U);
}

TEST(SearchPolicy, EndsWhateverItIsTold) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 200; ++i) {
    const Server server = [&](double rps) {
      return SearchTrial{.rps = rps, .holds = random() % 2 == 0, .invalid = random() % 7 == 0};
    };
    const SearchPolicy policy = search({}, server);
    EXPECT_TRUE(policy.end());
    EXPECT_LE(policy.steps().size(), 60U);
  }
}

}  // namespace
}  // namespace forkecho::client
