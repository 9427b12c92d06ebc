// common/mp/examples/dance.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::ElementsAre;

/// The number after `before` in the only line that contains it.
std::string number_after(const Shown& shown, const std::string& before) {
  const std::regex regex(".*" + before + "(\\d+).*");
  for (const std::string& line : shown.lines) {
    std::smatch match;
    if (std::regex_match(line, match, regex)) return match[1];
  }
  return "no number after " + before;
}

TEST(Dance, EachChildTakesAllNamesFromItsOwnCopy) {
  PROVES("0.6", "0.7", "1.2", "3.3");
  const Shown shown = run_example("dance", {"1"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  const std::string main = std::to_string(shown.pid);
  const std::string dancer = number_after(shown, "the dancer is ");
  const std::string singer = number_after(shown, "the singer is ");
  EXPECT_EQ(shown.count("main: pid " + main), 1);
  EXPECT_EQ(shown.count("dances: pid " + dancer + ", parent " + main), 1);
  EXPECT_EQ(shown.count("sings: pid " + singer + ", parent " + main), 1);
  EXPECT_THAT(
      shown.matching("\\w+ dances, .*"),
      ElementsAre("Heng dances, " + dancer + "-myprocess1", "Gui dances, " + dancer + "-myprocess1",
                  "Gang dances, " + dancer + "-myprocess1"));
  EXPECT_THAT(
      shown.matching("\\w+ sings, .*"),
      ElementsAre("Heng sings, " + singer + "-myprocess2", "Gui sings, " + singer + "-myprocess2",
                  "Gang sings, " + singer + "-myprocess2"));
  EXPECT_EQ(shown.count("main: 3 students are on the list still"), 1);
  EXPECT_TRUE(shown.ends_with_the_document());
}

}  // namespace
}  // namespace forkecho::tests
