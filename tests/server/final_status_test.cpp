#include "server/final_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/exit_code.h"
#include "tests/support/program.h"

namespace forkecho::server {
namespace {

using ::testing::HasSubstr;
using tests::TempDir;

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::size_t files_in(const std::string& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

TEST(FinalStatus, IsWrittenWholeAndLeavesNoDraft) {
  const TempDir directory;
  const FinalStatus file(directory.path("final.json"));
  EXPECT_TRUE(file.is_asked_for());
  EXPECT_EQ(files_in(directory.path("")), 0U) << "the probe is taken away";
  file.write("{}\n");
  file.write("{\"a\":1}\n");
  EXPECT_EQ(content_of(directory.path("final.json")), "{\"a\":1}\n");
  EXPECT_EQ(files_in(directory.path("")), 1U);
}

TEST(FinalStatus, OfAnEarlierDaemonIsRemovedAtTheStart) {
  const TempDir directory;
  std::ofstream(directory.path("final.json")) << "old";
  const FinalStatus file(directory.path("final.json"));
  EXPECT_FALSE(std::filesystem::exists(directory.path("final.json")));
}

TEST(FinalStatus, OfAReplacedDaemonHasItsNumber) {
  const TempDir directory;
  const FinalStatus file(directory.path("final.json"));
  file.write_beside("{}");
  EXPECT_EQ(content_of(directory.path("final.json." + std::to_string(getpid()))), "{}");
  EXPECT_FALSE(std::filesystem::exists(directory.path("final.json")));
}

TEST(FinalStatus, ThatCannotBeWrittenIsToldAtTheStart) {
  const TempDir directory;
  for (const std::string& path :
       {std::string("/nowhere/final.json"), std::string("/proc/final"), directory.path("")}) {
    EXPECT_THAT(find_unwritable(path), HasSubstr("cannot write the final status '" + path + "'"));
    EXPECT_THROW(FinalStatus{path}, FatalError);
  }
  EXPECT_EQ(find_unwritable(""), "");
  EXPECT_EQ(find_unwritable(directory.path("f")), "");
  EXPECT_EQ(files_in(directory.path("")), 0U);
}

TEST(FinalStatus, ThatCannotBeWrittenInTheEndLeavesNothing) {
  const TempDir directory;
  const std::string folder = directory.path("gone");
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  const FinalStatus file(folder + "/final.json");
  ASSERT_EQ(rmdir(folder.c_str()), 0);
  EXPECT_THROW(file.write("{}"), FatalError);
}

}  // namespace
}  // namespace forkecho::server
