#include "client/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

SchedulePart seconds_from(int from, int length) {
  return {.from = std::chrono::seconds(from), .until = std::chrono::seconds(from + length)};
}

std::vector<std::int64_t> all_due(Schedule schedule) {
  std::vector<std::int64_t> moments;
  for (; !schedule.over(); schedule.advance()) moments.push_back(schedule.due().count());
  return moments;
}

std::uint64_t planned(double rate, Arrivals arrivals, const SchedulePart& part,
                      unsigned workers = 1) {
  std::uint64_t sum = 0;
  for (unsigned worker = 0; worker < workers; ++worker)
    sum +=
        Schedule(RateCurve(rate, 0ns), arrivals, part, workers, worker).skip_due_before(part.until);
  return sum;
}

TEST(Schedule, TenSecondsAtAThousandAreTenThousand) {
  for (unsigned workers : {1U, 2U, 3U, 7U, 64U}) {
    EXPECT_EQ(planned(1000, Arrivals::constant, seconds_from(1, 10), workers), 10'000U);
  }
}

TEST(Schedule, NumberIsExactAtEveryRate) {
  struct Row {
    double rate;
    int seconds;
    std::uint64_t requests;
  };
  for (const Row row :
       {Row{0.1, 10, 1}, Row{0.1, 11, 2}, Row{0.3, 10, 3}, Row{1.5, 10, 15}, Row{3.3, 10, 33},
        Row{333.3, 10, 3333}, Row{7, 3, 21}, Row{1e6, 10, 10'000'000}, Row{1e9, 60, 60'000'000'000},
        Row{1e8 / 3, 3, 100'000'000}}) {
    for (unsigned workers : {1U, 5U}) {
      EXPECT_EQ(planned(row.rate, Arrivals::constant, seconds_from(1, row.seconds), workers),
                row.requests)
          << row.rate;
    }
  }
}

TEST(Schedule, ConstantMomentsFollowTheClosedForm) {
  for (const double rate : {0.7, 3.0, 999.9, 123'456.7}) {
    Schedule schedule(RateCurve(rate, 0ns), Arrivals::constant, seconds_from(2, 100'000));
    for (std::uint64_t k = 0; k < 2000; ++k, schedule.advance()) {
      ASSERT_EQ(schedule.number(), k);
      ASSERT_EQ(schedule.due().count(),
                2'000'000'000 + std::llround(static_cast<double>(k) * 1e9 / rate));
    }
  }
}

TEST(Schedule, SharesOfTheWorkersAreTheWholePlan) {
  for (const Arrivals arrivals : {Arrivals::constant, Arrivals::poisson}) {
    const RateCurve curve(777.7, 0ns);
    const auto whole = all_due(Schedule(curve, arrivals, seconds_from(1, 3)));
    std::vector<std::int64_t> together(whole.size());
    for (unsigned worker = 0; worker < 3; ++worker) {
      for (Schedule share(curve, arrivals, seconds_from(1, 3), 3, worker); !share.over();
           share.advance()) {
        ASSERT_LT(share.number(), together.size());
        together[share.number()] = share.due().count();
      }
    }
    EXPECT_EQ(together, whole);
  }
}

TEST(Schedule, RateBelowTheNumberOfWorkersHolds) {
  const RateCurve curve(2, 0ns);
  const Schedule fourth(curve, Arrivals::constant, seconds_from(0, 10), 8, 3);
  EXPECT_EQ(all_due(fourth),
            (std::vector<std::int64_t>{1'500'000'000, 5'500'000'000, 9'500'000'000}));
}

TEST(Schedule, NoDriftInADay) {
  Schedule schedule(RateCurve(1000.0 / 3, 0ns), Arrivals::constant, seconds_from(0, 100'000), 3, 0);
  EXPECT_EQ(schedule.skip_due_before(std::chrono::seconds(86'400)), 9'600'000U);
  EXPECT_EQ(schedule.due(), std::chrono::seconds(86'400));
}

TEST(Schedule, SkippingIsTheSameAsAdvancing) {
  for (const Arrivals arrivals : {Arrivals::constant, Arrivals::poisson}) {
    for (const auto ramp : {0ns, sys::Duration(5s)}) {
      Schedule skipped(RateCurve(1234.5, ramp), arrivals, seconds_from(1, 10), 3, 1);
      Schedule advanced = skipped;
      std::uint64_t count = 0;
      for (; !advanced.over() && advanced.due() < 7s; advanced.advance()) ++count;
      EXPECT_EQ(skipped.skip_due_before(7s), count);
      EXPECT_EQ(skipped.number(), advanced.number());
      EXPECT_EQ(skipped.due(), advanced.due());
    }
  }
}

TEST(Schedule, LimitEndsIt) {
  const SchedulePart part{.from = 0s, .until = sys::Duration::max(), .limit = 1000};
  EXPECT_EQ(planned(3, Arrivals::constant, part, 7), 1000U);
  EXPECT_EQ(planned(3, Arrivals::poisson, part, 7), 1000U);
}

TEST(Schedule, RampRisesEvenly) {
  const RateCurve curve(1000, 10s);
  EXPECT_DOUBLE_EQ(curve.arrivals_by(5s), 1250);  // half of the time, a quarter of the requests
  EXPECT_DOUBLE_EQ(curve.arrivals_by(10s), 5000);
  EXPECT_DOUBLE_EQ(curve.arrivals_by(12s), 7000);
  EXPECT_EQ(curve.moment_of(0s, 1250), 5s);
  EXPECT_EQ(curve.moment_of(0s, 5000), 10s);
  EXPECT_EQ(curve.moment_of(0s, 7000), 12s);
  EXPECT_EQ(curve.moment_of(5s, 3750), 10s);
  // A part that begins within the ramp goes on where the one before ended.
  const auto due = all_due(Schedule(curve, Arrivals::constant, seconds_from(5, 5)));
  EXPECT_EQ(due.size(), 3750U);
  EXPECT_EQ(due.front(), 5'000'000'000);
}

TEST(Schedule, PoissonHasItsMeanAndItsSpread) {
  const auto due = all_due(Schedule(RateCurve(1000, 0ns), Arrivals::poisson, seconds_from(0, 100)));
  EXPECT_NEAR(static_cast<double>(due.size()), 100'000, 4 * std::sqrt(100'000));
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 1; i < due.size(); ++i) {
    const double gap = static_cast<double>(due[i] - due[i - 1]) / 1e6;  // of mean 1
    EXPECT_GE(gap, 0);
    sum += gap;
    squares += gap * gap;
  }
  const auto n = static_cast<double>(due.size() - 1);
  EXPECT_NEAR(sum / n, 1, 0.02);
  EXPECT_NEAR(squares / n, 2, 0.1);
}

TEST(Schedule, TinyRateDoesNotOverflow) {
  const SchedulePart part{.from = 1s, .until = sys::Duration::max(), .limit = 1000};
  Schedule schedule(RateCurve(1e-9, 0ns), Arrivals::constant, part);
  for (int i = 0; i < 100; ++i) schedule.advance();
  EXPECT_GT(schedule.due(), 0ns);
}

}  // namespace
}  // namespace forkecho::client
