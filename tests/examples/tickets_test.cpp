// common/mp/examples/tickets.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

std::size_t buyers_who(const Shown& shown, const std::string& fate) {
  return shown.matching("buyer \\d+ " + fate).size();
}

TEST(Tickets, UnderALockExactlyTwoOfTenSucceed) {
  PROVES("3.7");
  const Shown shown = run_example("tickets", {"lock"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_EQ(shown.count("lock: sold 2 of 2, left 0, crashed 0"), 1);
  EXPECT_EQ(buyers_who(shown, "has one"), 2u);
  EXPECT_EQ(buyers_who(shown, "goes without"), 8u);
}

TEST(Tickets, ACrashUnderTheLockHangsNobody) {
  PROVES("0.5", "3.7");
  const Shown shown = run_example("tickets", {"crash"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_EQ(shown.count("crash: sold 2 of 2, left 0, crashed 1"), 1);
  EXPECT_EQ(buyers_who(shown, "is told that the holder died, and goes on"), 1u);
  EXPECT_EQ(buyers_who(shown, "has one"), 2u);
  EXPECT_EQ(buyers_who(shown, "goes without"), 7u);
  EXPECT_TRUE(is_one_line(shown.err)) << shown.err;
  EXPECT_TRUE(shown.ends_with_the_document());
}

TEST(Tickets, WithoutALockTheyAreOversold) {
  PROVES("3.7");
  const Shown shown = run_example("tickets", {"oversell"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_EQ(shown.count("oversell: sold 10 of 2, left 1, crashed 0"), 1);
  EXPECT_EQ(buyers_who(shown, "has one"), 10u);
}

}  // namespace
}  // namespace forkecho::tests
