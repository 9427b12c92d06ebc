// common/mp/examples/main_and_daemons.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST(MainAndDaemons, MainIsOverAndWaitsForItsChild) {
  PROVES("0.9", "1.1", "3.6");
  const Shown shown = run_example("main_and_daemons", {"child", "50"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(shown.lines, ElementsAre("the task lives still", "main is over",
                                       StartsWith("The document: "), "the task is done"));
}

TEST(MainAndDaemons, ADaemonEndsWithMain) {
  PROVES("0.9", "2.5", "3.6");
  const Shown shown = run_example("main_and_daemons", {"daemon", "60000"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(shown.lines,
              ElementsAre("the task lives still", "main is over", StartsWith("The document: ")));
}

}  // namespace
}  // namespace forkecho::tests
