// common/mp/examples/zombies_and_orphans.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

struct Orphan {
  pid_t main = 0;
  pid_t first_parent = 0;
  pid_t last_parent = 0;
};

Orphan orphan(const Shown& shown, const std::string& who) {
  const std::regex regex(who + ": main is (\\d+), the orphan's parent was (\\d+) and is (\\d+)");
  for (const std::string& line : shown.lines) {
    std::smatch match;
    if (std::regex_match(line, match, regex))
      return {std::stoi(match[1]), std::stoi(match[2]), std::stoi(match[3])};
  }
  return {};
}

TEST(ZombiesAndOrphans, TheDeadAreReapedAndOrphansAdopted) {
  PROVES("3.5", "4.2");
  const Shown shown = run_example("zombies_and_orphans", {"200"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_EQ(shown.count("ended, not reaped: state Z, <defunct>"), 1);
  EXPECT_EQ(shown.count("joined: state -"), 1);
  EXPECT_EQ(shown.count("200 children came and went, 0 are left"), 1);

  const Orphan left = orphan(shown, "left to the system");
  EXPECT_EQ(left.main, shown.pid);
  EXPECT_NE(left.first_parent, shown.pid);
  EXPECT_EQ(left.last_parent, getpid());  // run_example adopts: it stands where init does elsewhere

  const Orphan adopted = orphan(shown, "adopted by main");
  EXPECT_EQ(adopted.main, shown.pid);
  EXPECT_NE(adopted.first_parent, shown.pid);
  EXPECT_EQ(adopted.last_parent, shown.pid);
  EXPECT_EQ(shown.count("main reaps it: exit code 0"), 1);
  EXPECT_TRUE(shown.ends_with_the_document());
}

}  // namespace
}  // namespace forkecho::tests
