// common/mp/examples/subclass.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST(Subclass, ItsRunIsTheChildAndStartReturnsAtOnce) {
  PROVES("3.1", "3.2");
  const Shown shown = run_example("subclass");
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(shown.lines,
              ElementsAre("function: the task begins and ends", "main process, after join",
                          "main process, after start", "coding: the task begins",
                          "coding: the task ends", StartsWith("The document: ")));
}

}  // namespace
}  // namespace forkecho::tests
