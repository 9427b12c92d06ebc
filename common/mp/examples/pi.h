// The series of the π examples, and how they are measured. π²/8 is the sum of 1/(2k+1)² over all
// k >= 0 (Euler, 1735). Pure functions but for compare_with_one_process, which prints.
//
// The figures hold to the bit: IEEE double precision, two divisions as in the document, no fused
// multiply-add, no reordering (CMakeLists.txt sees to that).
#pragma once

#include <array>
#include <chrono>
#include <cmath>

#include "common/mp/examples/say.h"

namespace forkecho::examples {

/// What the documents sum.
inline constexpr long default_terms = 100'000'000;
/// Into so many parts they cut it, one for each process.
inline constexpr int slices = 10;

/// Terms first <= k < last.
struct Slice {
  long first;
  long last;
};

/// Part `index` of `terms` terms. Every term is in exactly one part, whatever `terms` is.
constexpr Slice slice(long terms, int index) {
  return {terms * index / slices, terms * (index + 1) / slices};
}

/// The sum of the slice's terms, added in ascending order of k.
inline double sum_of(Slice slice) {
  double sum = 0;
  for (long k = slice.first; k < slice.last; ++k) {
    const auto odd = static_cast<double>(2 * k + 1);
    sum += 1.0 / odd / odd;
  }
  return sum;
}

inline double pi_from(double sum) {
  return std::sqrt(8 * sum);
}

/// From the sums of all slices, added in the slices' order: the order decides the last digit.
inline double pi_from(const std::array<double, slices>& sums) {
  double total = 0;
  for (const double sum : sums) total += sum;
  return pi_from(total);
}

/// Prints what compute(terms) gives and how long it takes, in seconds; returns those.
template <typename Compute>
double say_pi(const char* who, Compute compute, long terms) {
  const auto start = std::chrono::steady_clock::now();
  const double pi = compute(terms);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  say(who, ": ", shortest(pi), " in ", seconds, " s");
  return seconds;
}

inline double pi_by_one_process(long terms) {
  return pi_from(sum_of({0, terms}));
}

/// Computes π by one process and by `compute`, and prints both.
template <typename Compute>
void compare_with_one_process(const char* who, Compute compute, long terms) {
  const double one = say_pi("one process", pi_by_one_process, terms);
  const double many = say_pi(who, compute, terms);
  say("faster by a factor of ", one / many);
}

}  // namespace forkecho::examples
