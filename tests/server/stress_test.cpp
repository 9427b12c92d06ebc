#include "server/stress.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

TEST(DecideStress, BeginsAt90PercentAndEndsBelow75) {
  struct Case {
    bool before;
    std::uint64_t active;
    bool expected;
  };
  for (const Case& c : {Case{false, 0, false}, Case{false, 89, false}, Case{false, 90, true},
                        Case{false, 100, true}, Case{true, 90, true}, Case{true, 89, true},
                        Case{true, 75, true}, Case{true, 74, false}, Case{true, 0, false}}) {
    EXPECT_EQ(decide_stress(c.before, c.active, 100), c.expected)
        << c.before << " with " << c.active;
  }
}

TEST(DecideStress, SmallLimits) {
  EXPECT_FALSE(decide_stress(false, 0, 1));
  EXPECT_TRUE(decide_stress(false, 1, 1));
  EXPECT_FALSE(decide_stress(true, 0, 1));
  EXPECT_FALSE(decide_stress(false, 8, 9));
  EXPECT_TRUE(decide_stress(false, 9, 9));
}

TEST(UnderStress, ShortensFirstByteAndIdleAndNothingElse) {
  const Timeouts plain{
      .first_byte = 20s, .idle = 5min, .write = 30s, .lifetime = 1h, .stress = 10s};
  const Timeouts stressed = under_stress(plain);
  EXPECT_EQ(stressed.first_byte, 10s);
  EXPECT_EQ(stressed.idle, 10s);
  EXPECT_EQ(stressed.write, 30s);
  EXPECT_EQ(stressed.lifetime, 1h);
}

TEST(UnderStress, HoldsAlsoForWhatIsOffAndNeverLengthens) {
  EXPECT_EQ(under_stress({.idle = 3s, .stress = 10s}).idle, 3s);
  EXPECT_EQ(under_stress({.idle = 0s, .stress = 10s}).idle, 10s);
  EXPECT_EQ(under_stress({.first_byte = 0s, .stress = 10s}).first_byte, 10s);
}

TEST(UnderStress, OffItChangesNothing) {
  EXPECT_EQ(under_stress({.idle = 3min, .stress = 0s}).idle, 3min);
  EXPECT_EQ(under_stress({.idle = 0s, .stress = 0s}).idle, 0s);
}

}  // namespace
}  // namespace forkecho::server
