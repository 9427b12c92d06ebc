#include "common/log/line_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <functional>

#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace forkecho::log {
namespace {

TEST(LineFile, AppendsLines) {
  const tests::TempDir directory;
  const std::string path = directory.path("log");
  LineFile file(path, "log file");
  EXPECT_TRUE(file.write("one\n"));
  LineFile again(path, "log file");
  EXPECT_TRUE(again.write("two\n"));
  EXPECT_TRUE(file.write("three\n"));
  EXPECT_EQ(tests::content_of(path), "one\ntwo\nthree\n");
}

TEST(LineFile, ReopenedItKeepsItsNumber) {
  const tests::TempDir directory;
  LineFile file(directory.path("log"), "log file");
  const int number = file.descriptor();
  EXPECT_TRUE(file.write("one\n"));
  file.reopen(directory.path("other"), "log file");
  EXPECT_EQ(file.descriptor(), number);
  EXPECT_TRUE(file.write("two\n"));
  EXPECT_THROW(file.reopen("/nowhere/log", "log file"), std::system_error);
  EXPECT_TRUE(file.write("three\n"));
  EXPECT_EQ(tests::content_of(directory.path("log")), "one\n");
  EXPECT_EQ(tests::content_of(directory.path("other")), "two\nthree\n");
}

TEST(LineFile, AFullDeviceLosesTheLineAndSaysSo) {
  LineFile file("/dev/full", "log file");
  EXPECT_FALSE(file.write("one\n"));
  EXPECT_EQ(errno, ENOSPC);
}

TEST(LineFile, APipeThatNobodyReadsDoesNotHoldUp) {
  const tests::TempDir directory;
  const std::string path = directory.path("pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THROW(LineFile(path, "log file"), std::system_error);  // no reader, and no endless wait
  const sys::Descriptor reader(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  LineFile file(path, "log file");
  const std::string line = std::string(99, 'x') + "\n";
  int written = 0;
  while (written < 100000 && file.write(line)) ++written;
  EXPECT_GT(written, 0);
  EXPECT_LT(written, 100000);
  EXPECT_EQ(errno, EAGAIN);
  char some[8192];
  ASSERT_GT(read(reader.get(), some, sizeof some), 0);
  EXPECT_TRUE(file.write(line));
}

/// Standard error as `end`, and what becomes of lines there; 0 if all is as it should be.
int with_standard_error(int end, const std::function<int(LineFile&)>& act) {
  return tests::exitcode_of(tests::start_child([&] {
           signal(SIGPIPE, SIG_IGN);
           dup2(end, STDERR_FILENO);
           LineFile file;
           file.avoid_waiting();
           return act(file);
         }))
      .value_or(-1);
}

TEST(LineFile, StandardErrorMayBeAPipeThatNobodyReads) {
  const tests::Pipe pipe;
  EXPECT_EQ(with_standard_error(pipe.write.get(),
                                [](LineFile& file) {
                                  if (!file.write("first\n")) return 1;
                                  for (int i = 0; i < 100000; ++i)
                                    if (!file.write(std::string(99, 'x') + "\n")) return 0;
                                  return 2;
                                }),
            0);
  char begun[6];
  ASSERT_EQ(read(pipe.read.get(), begun, sizeof begun), 6);
  EXPECT_EQ(std::string(begun, 6), "first\n");
}

TEST(LineFile, StandardErrorMayBeABrokenPipe) {
  tests::Pipe pipe;
  pipe.read.reset();
  EXPECT_EQ(with_standard_error(pipe.write.get(),
                                [](LineFile& file) { return file.write("x\n") ? 1 : 0; }),
            0);
}

TEST(LineFile, StandardErrorMayBeASocketThatNobodyReads) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const sys::Descriptor ours(ends[0]);
  const sys::Descriptor theirs(ends[1]);
  EXPECT_EQ(with_standard_error(theirs.get(),
                                [](LineFile& file) {
                                  for (int i = 0; i < 100000; ++i)
                                    if (!file.write(std::string(99, 'x') + "\n"))
                                      return i > 0 ? 0 : 1;
                                  return 2;
                                }),
            0);
}

TEST(LineFile, ALineThatAFullDiskCutShortIsEndedBeforeTheNext) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to mount a file system of one page";
  const tests::TempDir directory;
  const std::string disk = directory.path("disk");
  ASSERT_EQ(mkdir(disk.c_str(), 0700), 0);
  if (mount("none", disk.c_str(), "tmpfs", 0, "size=8k") != 0)
    GTEST_SKIP() << "no mounting here: " << std::strerror(errno);
  {
    LineFile file(disk + "/log", "log file");
    EXPECT_TRUE(file.write("begin\n"));
    EXPECT_FALSE(file.write(std::string(9000, 'x') + "\n"));
    EXPECT_FALSE(file.write("lost\n"));
    ASSERT_EQ(truncate((disk + "/log").c_str(), 100), 0);
    EXPECT_TRUE(file.write("next\n"));
    const std::string content = tests::content_of(disk + "/log");
    EXPECT_EQ(content.substr(100), "\nnext\n");
  }
  umount(disk.c_str());
}

}  // namespace
}  // namespace forkecho::log
