// common/mp/examples/producers_and_consumers.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::ElementsAre;

TEST(ProducersAndConsumers, EveryDishIsEatenOnceBeforeMainGoesOn) {
  PROVES("3.10");
  const Shown shown = run_example("producers_and_consumers", {"2"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(
      shown.matching("Star Chef .*"),
      ElementsAre("Star Chef makes rice1", "Star Chef makes rice2", "Star Chef makes rice3"));
  EXPECT_THAT(shown.matching("God of Cooking .*"),
              ElementsAre("God of Cooking makes soup1", "God of Cooking makes soup2",
                          "God of Cooking makes soup3"));
  for (const std::string dish : {"rice1", "rice2", "rice3", "soup1", "soup2", "soup3"}) {
    const Lines eaten = shown.matching("(Pigsy|Monkey) eats " + dish);
    ASSERT_EQ(eaten.size(), 1u) << dish;
    EXPECT_LT(shown.position(shown.matching(".* makes " + dish).at(0)), shown.position(eaten[0]));
  }
  EXPECT_EQ(shown.position("main: every dish was eaten"), 12);
  EXPECT_EQ(shown.lines.size(), 13u);  // and the guests, who are daemons, say no more
}

}  // namespace
}  // namespace forkecho::tests
