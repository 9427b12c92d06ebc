#include "server/invocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using testing::ElementsAre;

class FindProgram : public testing::Test {
 protected:
  std::string make(const std::string& name, mode_t mode) {
    const std::string path = directory_.path(name);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << "x";
    chmod(path.c_str(), mode);
    return path;
  }
  std::string here() const { return directory_.path(""); }
  tests::TempDir directory_;
};

TEST_F(FindProgram, ANameWithASlashIsAPath) {
  EXPECT_EQ(find_program("/usr/bin/x", "/bin", "/tmp"), "/usr/bin/x");
  EXPECT_EQ(find_program("build/x", "/bin", "/tmp"), "/tmp/build/x");
  EXPECT_EQ(find_program("./x", "/bin", "/tmp"), "/tmp/./x");
}

TEST_F(FindProgram, AnotherIsLookedForAsTheShellDoes) {
  const std::string second = make("b/x", 0755);
  make("a/x", 0644);
  std::filesystem::create_directories(directory_.path("c/x"));
  const std::string search = directory_.path("c") + ":" + directory_.path("none") + ":" +
                             directory_.path("a") + ":" + directory_.path("b");
  EXPECT_EQ(find_program("x", search, "/tmp"), second);
  EXPECT_EQ(find_program("y", search, "/tmp"), "");
  EXPECT_EQ(find_program("x", "", "/tmp"), "");
  EXPECT_EQ(find_program("x", "none::a", directory_.path("b")), directory_.path("b") + "/x");
  EXPECT_EQ(find_program("x", "b", directory_.path("")), directory_.path("") + "/b/x");
}

TEST(Invocation, KeepsTheArgumentsAndFindsTheProgramThatRuns) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const char* arguments[] = {"no-such-program", "run", "--mode", "pool"};
  const Invocation invocation = remember_invocation(4, arguments);
  EXPECT_EQ(invocation.program, self);
  EXPECT_THAT(invocation.arguments, ElementsAre("no-such-program", "run", "--mode", "pool"));
}

TEST(Invocation, KeepsThePathOfALinkThatLedToTheProgram) {
  const tests::TempDir directory;
  const std::string link = directory.path("link");
  std::filesystem::create_symlink(std::filesystem::read_symlink("/proc/self/exe"), link);
  const char* arguments[] = {link.c_str()};
  EXPECT_EQ(remember_invocation(1, arguments).program, link);
}

TEST(Invocation, AnotherProgramOfThatNameIsNotTakenForIt) {
  const char* arguments[] = {"/bin/true"};
  EXPECT_EQ(remember_invocation(1, arguments).program,
            std::filesystem::read_symlink("/proc/self/exe").string());
}

}  // namespace
}  // namespace forkecho::server
