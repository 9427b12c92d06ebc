// common/mp/examples/side_by_side.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

/// The milliseconds in the only line that `pattern` matches; its first group is the number.
long milliseconds(const Shown& shown, const std::string& pattern) {
  const std::regex regex(pattern);
  for (const std::string& line : shown.lines) {
    std::smatch match;
    if (std::regex_match(line, match, regex)) return std::stol(match[1]);
  }
  return -1;
}

TEST(SideBySide, FiveWorkersTakeAsLongAsOne) {
  PROVES("1.1");
  const Shown shown = run_example("side_by_side", {"400"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_EQ(shown.matching("worker [0-4] begins").size(), 5u);
  EXPECT_EQ(shown.matching("worker [0-4] ends").size(), 5u);
  const long together = milliseconds(shown, "five workers of 400 ms took (\\d+) ms");
  EXPECT_GE(together, 400);
  EXPECT_LT(together, 5 * 400);
  const long again = milliseconds(shown, "joining them once more took (\\d+) ms");
  EXPECT_GE(again, 0);
  EXPECT_LT(again, 400);
  EXPECT_TRUE(shown.ends_with_the_document());
}

}  // namespace
}  // namespace forkecho::tests
