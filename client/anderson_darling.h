// The Anderson–Darling test: whether numbers could have been drawn evenly between 0 and 1; and, by
// way of it, whether requests were sent as a Poisson process has them. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "client/schedule.h"

namespace forkecho::client {

struct AndersonDarling {
  std::uint64_t count = 0;  // of the numbers
  double a_squared =
      0;         // the statistic: around 1 where they are even, and larger the less they are
  double p = 0;  // how often even numbers would give as large a statistic
};

/// Of at least two numbers between 0 and 1, in any order. T. W. Anderson and D. A. Darling, "A Test
/// of Goodness of Fit", 1954; p is that of many numbers, as G. and J. Marsaglia give it
/// ("Evaluating the Anderson-Darling Distribution", 2004), good to 0.00001, and for eight numbers
/// already to 0.005.
AndersonDarling test_evenness(std::vector<double> numbers);

/// The distribution function at `x` of the sum of `shape` gaps of a Poisson process of rate 1.
double erlang_cdf(std::uint64_t shape, double x);

/// Every which request of a plan is looked at: gaps shorter than the clock's and the scheduler's
/// grain, of which none can be kept exactly, are taken together to sums of 2 ms and more.
std::uint64_t arrival_stride(double rate);

/// Whether what was sent is a Poisson process of the rate of `curve`. `at` holds when each
/// stride-th request was sent, since the start of the run; 0 where one is not known. The gaps are
/// measured in expected arrivals, so that a ramp makes no difference. Empty for fewer than 20 gaps.
std::optional<AndersonDarling> test_arrivals(const RateCurve& curve, std::uint64_t stride,
                                             std::span<const sys::Duration> at);

}  // namespace forkecho::client
