// What the π examples print: the figures, to the bit.
#pragma once

#include <string>

#include "tests/examples/example.h"

namespace forkecho::tests {

/// The documents' own, for their 100,000,000 terms.
inline constexpr char document_by_one[] = "3.141592647851581";
inline constexpr char document_by_ten[] = "3.141592650405625";
/// By CPython, with slices of whole numbers of terms: a number of terms that bounds in floating
/// point would make one less, and of whose sums two orders in three give another figure.
inline constexpr char small_terms[] = "200088";
inline constexpr char small_by_one[] = "3.1415910627400034";
inline constexpr char small_by_ten[] = "3.1415910627399395";

/// Two timed figures, and their ratio.
inline void expect_figures(const Shown& shown, const std::string& who, const std::string& by_one,
                           const std::string& by_ten) {
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  const std::string timed = " in [0-9.e-]+ s";
  EXPECT_EQ(shown.matching("one process: " + by_one + timed).size(), 1u)
      << testing::PrintToString(shown.lines);
  EXPECT_EQ(shown.matching(who + ": " + by_ten + timed).size(), 1u)
      << testing::PrintToString(shown.lines);
  EXPECT_EQ(shown.matching("faster by a factor of [0-9.e-]+").size(), 1u);
}

}  // namespace forkecho::tests
