// common/mp/examples/arguments.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST(Arguments, ReachTheChildByPositionAndByName) {
  PROVES("0.8", "2.3");
  const Shown shown = run_example("arguments");
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(shown.lines,
              ElementsAre("Process-1: 1 2 3", "Process-2: 4 5 6",                          //
                          "Process-3 is to execute 1 times", "Process-3 executes time 1",  //
                          "Process-3 is done",                                             //
                          "Process-4 is to execute 3 times", "Process-4 executes time 1",
                          "Process-4 executes time 2", "Process-4 executes time 3",
                          "Process-4 is done", StartsWith("The document: ")));
}

TEST(Arguments, OfAnExampleItselfAreWholeNumbersAboveZero) {
  for (const std::string wrong : {"0", "-1", "ten", "10x", ""}) {
    const Shown shown = run_example("side_by_side", {wrong});
    EXPECT_EQ(shown.exitcode, 64) << wrong;
    EXPECT_TRUE(is_one_line(shown.err)) << shown.err;
    EXPECT_TRUE(shown.lines.empty());
  }
}

}  // namespace
}  // namespace forkecho::tests
