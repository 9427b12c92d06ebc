// common/mp/examples/uppercase_over_pipe.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::ElementsAre;

TEST(UppercaseOverPipe, AProcessClassAnswersAndEndsWithItsPipe) {
  PROVES("1.5", "3.2");
  const Shown shown = run_example("uppercase_over_pipe", {"hello", "hello world", "ÄÖ 1"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(shown.lines, ElementsAre("hello -> HELLO", "hello world -> HELLO WORLD",
                                       "ÄÖ 1 -> ÄÖ 1", "the child left with 0"));
}

}  // namespace
}  // namespace forkecho::tests
