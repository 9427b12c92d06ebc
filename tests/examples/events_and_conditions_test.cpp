// common/mp/examples/events_and_conditions.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::ElementsAre;

TEST(EventsAndConditions, AnEventReleasesAllAndNotifyAsManyAsItSays) {
  PROVES("1.5");
  const Shown shown = run_example("events_and_conditions");
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(shown.lines,
              ElementsAre("before the shot: closed", "a runner runs", "a runner runs",
                          "a runner runs", "notify(1): 1 woke", "notify_all: 3 woke in all"));
}

}  // namespace
}  // namespace forkecho::tests
