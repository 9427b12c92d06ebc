#include "client/run_program.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "client/temporary_directory.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

TEST(RunProgram, GivesOutputAndExitCode) {
  const auto result =
      run_program({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}, sys::Deadline::after(10s));
  EXPECT_EQ(result.output, "out\n");
  EXPECT_EQ(result.exitcode, 3);
}

TEST(RunProgram, SaysWhatCannotBeExecuted) {
  EXPECT_EQ(run_program({"/nonexistent/program"}, sys::Deadline::after(10s)).exitcode, 127);
}

TEST(RunProgram, KillsAtTheDeadline) {
  const auto result = run_program({"/bin/sleep", "100"}, sys::Deadline::after(50ms));
  EXPECT_FALSE(result.exitcode);
}

TEST(RunProgram, KillsAlsoWhatClosedItsOutput) {
  const auto result =
      run_program({"/bin/sh", "-c", "exec >&-; exec sleep 100"}, sys::Deadline::after(300ms));
  EXPECT_FALSE(result.exitcode);
}

TEST(BackgroundProgram, RunsWhereItIsPinned) {
  const TemporaryDirectory directory;
  const auto log = directory.path() / "log";
  mp::Process program =
      background_program({"/bin/grep", "Cpus_allowed_list", "/proc/self/status"}, log, {0});
  program.start();
  program.join();
  std::ifstream file(log);
  std::string name;
  std::string list;
  file >> name >> list;
  EXPECT_EQ(list, "0");
}

TEST(SearchPath, TakesTheFirstFolderThatHasIt) {
  EXPECT_EQ(search_path("/nonexistent:/bin:/usr/bin", "sh"), "/bin/sh");
  EXPECT_FALSE(search_path("/nonexistent", "sh"));
  EXPECT_FALSE(search_path("", "sh"));
  EXPECT_FALSE(search_path("/", "etc")) << "a folder is no program";
}

}  // namespace
}  // namespace forkecho::client
