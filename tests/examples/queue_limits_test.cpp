// common/mp/examples/queue_limits.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::StartsWith;

TEST(QueueLimits, FullAndEmptyAreAnswersAndTheOrderIsKept) {
  PROVES("1.5", "3.8", "3.9");
  const Shown shown = run_example("queue_limits");
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(
      shown.lines,
      ElementsAre("after three puts: full 1, size 3", "put_nowait: Full",
                  "put with a deadline: Full", "a child's put without a deadline: waits for room",
                  "the child's put went through", "first in, first out: a b c d",
                  "after four gets: empty 1, size 0", "get_nowait: Empty",
                  "get with a deadline: Empty", "consumer: pitter", "main: patter", "empty 1",
                  "the default capacity is 32767 items", StartsWith("The document: ")));
}

}  // namespace
}  // namespace forkecho::tests
