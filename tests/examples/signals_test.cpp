// common/mp/examples/signals.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

/// The lines between "-- title" and the next title.
Lines scene(const Shown& shown, const std::string& title) {
  auto line = std::find(shown.lines.begin(), shown.lines.end(), "-- " + title);
  Lines found;
  if (line == shown.lines.end()) return found;
  while (++line != shown.lines.end() && !line->starts_with("-- ")) found.push_back(*line);
  return found;
}

std::ptrdiff_t count(const Lines& lines, const std::string& line) {
  return std::count(lines.begin(), lines.end(), line);
}

/// The scene ends with `last`: a dead child is silent.
void expect_end(const Lines& lines, const std::string& last) {
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back(), last);
  EXPECT_GE(count(lines, "in child process"), 1);
}

TEST(Signals, EachEndsTheChildInItsWay) {
  PROVES("4.2", "4.3", "4.4");
  const Shown shown = run_example("signals", {"1"});
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  expect_end(scene(shown, "killed"), "SIGKILL sent: the exit code is -9");
  expect_end(scene(shown, "asked to end"), "SIGTERM sent: the exit code is -15");

  const Lines ignored = scene(shown, "SIGTERM ignored");
  expect_end(ignored, "SIGKILL sent: the exit code is -9");
  EXPECT_EQ(count(ignored, "SIGTERM sent: the child goes on"), 1);

  const Lines handled = scene(shown, "SIGTERM handled");
  expect_end(handled, "SIGTERM sent: the exit code is 0");
  ASSERT_GE(handled.size(), 2u);
  EXPECT_EQ(handled[handled.size() - 2], "child will die");

  EXPECT_EQ(shown.count("-- exit(15): the exit code is 15"), 1);
  EXPECT_TRUE(shown.ends_with_the_document());
}

}  // namespace
}  // namespace forkecho::tests
