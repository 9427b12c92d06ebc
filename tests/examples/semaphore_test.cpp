// common/mp/examples/semaphore.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

/// The most that were inside at once, by the order of the lines.
int most_inside(const Lines& comings_and_goings) {
  int inside = 0;
  int most = 0;
  for (const std::string& line : comings_and_goings) {
    inside += line.ends_with("acquires") ? 1 : -1;
    most = std::max(most, inside);
  }
  return most;
}

TEST(Semaphore, LetsTwoOfFiveInAtATimeAndForgetsTheKilled) {
  PROVES("0.5", "1.4");
  const Shown shown = run_example("semaphore", {"50"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  const Lines visits = shown.matching("Process-[1-5] (acquires|releases)");
  EXPECT_EQ(visits.size(), 10u);
  EXPECT_EQ(most_inside(visits), 2);
  EXPECT_EQ(shown.count("at most 2 at once were inside"), 1);
  EXPECT_EQ(shown.count("after a visitor was killed inside, 2 may enter as before"), 1);
  EXPECT_TRUE(shown.ends_with_the_document());
}

}  // namespace
}  // namespace forkecho::tests
