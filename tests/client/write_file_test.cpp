#include "client/write_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "common/mp/process.h"

namespace forkecho::client {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class WriteFile : public ::testing::Test {
 protected:
  WriteFile()
      : folder_(fs::path(::testing::TempDir()) / ("forkecho-write-" + std::to_string(getpid()))) {
    fs::create_directory(folder_);
  }
  ~WriteFile() override { fs::remove_all(folder_); }

  std::string path(const char* name) const { return (folder_ / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  static std::string content(const std::string& path) {
    std::ifstream file(path);
    return (std::stringstream() << file.rdbuf()).str();
  }

  fs::path folder_;
};

TEST_F(WriteFile, WritesItAndNothingElse) {
  write_file_whole(path("run.json"), "first");
  EXPECT_EQ(content(path("run.json")), "first");
  write_file_whole(path("run.json"), "second");
  EXPECT_EQ(content(path("run.json")), "second");
  EXPECT_EQ(files(), 1U);
}

TEST_F(WriteFile, ReplacesTheTargetOfALink) {
  write_file_whole(path("real"), "old");
  fs::create_symlink("real", path("link"));
  write_file_whole(path("link"), "new");
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(content(path("real")), "new");
}

TEST_F(WriteFile, NamesAPathThatCannotBe) {
  const std::string nowhere = path("nowhere/run.json");
  try {
    check_writable(nowhere);
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot write " + nowhere));
    EXPECT_EQ(error.code().value(), ENOENT);
  }
  EXPECT_THROW(write_file_whole(nowhere, "x"), std::system_error);
  EXPECT_THROW(check_writable(folder_.string()), std::system_error);
  EXPECT_THROW(check_writable(""), std::system_error);
}

TEST_F(WriteFile, CheckLeavesNothingBehind) {
  check_writable(path("run.json"));
  check_writable("-");
  EXPECT_EQ(files(), 0U);
  write_file_whole(path("run.json"), "kept");
  check_writable(path("run.json"));
  EXPECT_EQ(content(path("run.json")), "kept");
  EXPECT_EQ(files(), 1U);
}

TEST_F(WriteFile, FullDeviceIsAnError) {
  try {
    write_file_whole("/dev/full", "x");
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOSPC);
  }
}

TEST_F(WriteFile, FullDiskLeavesTheOldFile) {
  write_file_whole(path("run.json"), "old");
  mp::Process limited([this] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{.rlim_cur = 4096, .rlim_max = 4096};
    setrlimit(RLIMIT_FSIZE, &small);
    try {
      write_file_whole(path("run.json"), std::string(100'000, 'x'));
    } catch (const std::system_error& error) {
      mp::leave(error.code().value() == EFBIG ? 7 : 8);
    }
  });
  limited.start();
  limited.join();
  EXPECT_EQ(limited.exitcode(), 7);
  EXPECT_EQ(content(path("run.json")), "old");
  EXPECT_EQ(files(), 1U);
}

}  // namespace
}  // namespace forkecho::client
