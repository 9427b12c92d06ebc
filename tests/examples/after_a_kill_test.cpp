// common/mp/examples/after_a_kill.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

TEST(AfterAKill, EveryObjectGoesOn) {
  PROVES("0.5");
  const Shown shown = run_example("after_a_kill");
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_EQ(shown.matching("\\w+: goes on.*").size(), 10u);
  for (const char* told : {"lock", "rlock", "barrier", "joinable_queue", "pool", "managers_lock"})
    EXPECT_EQ(shown.count(std::string(told) + ": goes on, and is told of the death"), 1) << told;
  EXPECT_TRUE(shown.ends_with_the_document());
}

}  // namespace
}  // namespace forkecho::tests
