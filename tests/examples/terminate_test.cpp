// common/mp/examples/terminate.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST(Terminate, TheChildIsGoneWhenJoinSaysSo) {
  PROVES("3.4");
  const Shown shown = run_example("terminate");
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(shown.lines,
              ElementsAre("before terminate: is_alive 1", "after join: is_alive 0, exitcode -15",
                          StartsWith("The document: ")));
}

}  // namespace
}  // namespace forkecho::tests
