// common/mp/examples/not_shared.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST(NotShared, AGlobalIsCopiedAndAValueIsShared) {
  PROVES("2.4", "3.3");
  const Shown shown = run_example("not_shared");
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(shown.lines, ElementsAre("the child that adds: 101", "the other child: 100",
                                       "main: 100", "main, after a child made it 3: 18",
                                       "main, after a child added to a Value: 101",
                                       StartsWith("The document: ")));
}

}  // namespace
}  // namespace forkecho::tests
