// What the π examples print: the figures, to the bit.
#pragma once

#include <string>

#include "tests/examples/example.h"

namespace forkecho::tests {

/// The documents' own, for their 100,000,000 terms.
inline constexpr char document_by_one[] = "3.141592647851581";
inline constexpr char document_by_ten[] = "3.141592650405625";
/// By CPython, with slices of whole numbers of terms: 1,000,003 terms cannot be cut into equal
/// parts.
inline constexpr char small_terms[] = "1000003";
inline constexpr char small_by_one[] = "3.1415923352809245";
inline constexpr char small_by_ten[] = "3.1415923352808712";

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
