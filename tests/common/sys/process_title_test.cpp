#include "common/sys/process_title.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/child.h"

namespace forkecho::sys {
namespace {

// The main of the test programs has called remember_title_room. Titles are set in children, so that
// the program keeps its own.

std::string command_line(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/cmdline");
  const std::string text{std::istreambuf_iterator(file), {}};
  return text.substr(0, text.find('\0'));
}

std::string whole_command_line() {
  std::ifstream file("/proc/self/cmdline");
  return {std::istreambuf_iterator(file), {}};
}

TEST(ProcessTitle, BeforeTheFirstTheArgumentsAreUntouchedAndTheEnvironmentDoesNotShow) {
  std::string arguments;
  for (const std::string& argument : testing::internal::GetArgvs()) arguments += argument + '\0';
  EXPECT_EQ(whole_command_line(), arguments);
}

TEST(ProcessTitle, ShowsNothingBehindIt) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              set_process_title("t");
              const std::string all = whole_command_line();
              return all.find_first_not_of('\0', 1) == std::string::npos ? 0 : 1;
            }),
            0);
}

/// What a child reads of itself after it took each of `titles`, as its exit code: 0 when the last
/// shows.
template <typename Check>
std::optional<int> after_titles(std::initializer_list<std::string> titles, Check check) {
  return tests::exitcode_in_child([&] {
    for (const std::string& title : titles) set_process_title(title);
    return check(command_line("self")) ? 0 : 1;
  });
}

TEST(ProcessTitle, OthersSeeIt) {
  tests::Gate named;
  tests::Gate seen;
  const pid_t child = tests::start_child([&] {
    set_process_title("title of a child");
    named.open();
    return seen.pass() ? 0 : 1;
  });
  EXPECT_TRUE(named.pass());
  EXPECT_EQ(command_line(std::to_string(child)), "title of a child");
  seen.open();
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(ProcessTitle, AShorterOneLeavesNothingOfTheLonger) {
  EXPECT_EQ(after_titles({"a longer title", "short"},
                         [](const std::string& line) { return line == "short"; }),
            0);
}

TEST(ProcessTitle, IsCutToItsRoom) {
  const std::string endless(1 << 20, 'x');
  EXPECT_EQ(after_titles({endless},
                         [&](const std::string& line) {
                           return line.size() > 8 && line == endless.substr(0, line.size());
                         }),
            0);
}

TEST(ProcessTitle, TheEnvironmentSurvivesIt) {
  const std::string path = std::getenv("PATH");
  EXPECT_EQ(after_titles({std::string(1 << 20, 'x')},
                         [&](const std::string&) { return path == std::getenv("PATH"); }),
            0);
}

TEST(ProcessTitle, TheParentKeepsItsOwn) {
  const std::string before = command_line("self");
  EXPECT_EQ(after_titles({"of the child"}, [](const std::string&) { return true; }), 0);
  EXPECT_EQ(command_line("self"), before);
}

}  // namespace
}  // namespace forkecho::sys
