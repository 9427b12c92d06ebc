#include "server/pid_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "common/mp/process.h"
#include "server/exit_code.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using testing::HasSubstr;
using tests::content_of;
using tests::TempDir;

/// The error that `attempt` ends with; code ok when it succeeds.
template <typename Attempt>
FatalError error_of(Attempt attempt) {
  try {
    attempt();
  } catch (const FatalError& error) {
    return error;
  }
  return {ExitCode::ok, ""};
}

TEST(PidFile, HoldsThePidAndGoesWithItsOwner) {
  const TempDir directory;
  const std::string path = directory.path("d.pid");
  {
    const PidFile file(path);
    EXPECT_EQ(content_of(path), std::to_string(getpid()) + "\n");
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST(PidFile, ASecondDaemonIsRefusedAndToldWhoRuns) {
  const TempDir directory;
  const std::string path = directory.path("d.pid");
  const PidFile file(path);
  const FatalError error = error_of([&] { const PidFile second(path); });
  EXPECT_EQ(error.code(), ExitCode::unavailable);
  EXPECT_THAT(error.what(), HasSubstr("pid " + std::to_string(getpid()) + " "));
  EXPECT_THAT(error.what(), HasSubstr(path));
  EXPECT_EQ(content_of(path), std::to_string(getpid()) + "\n");
}

TEST(PidFile, TheFileOfAKilledDaemonIsTakenOver) {
  const TempDir directory;
  const std::string path = directory.path("d.pid");
  tests::Gate locked;
  mp::Process first([&] {
    const PidFile file(path);
    locked.open();
    for (;;) pause();
  });
  first.start();
  ASSERT_TRUE(locked.pass());
  first.kill();
  ASSERT_TRUE(first.join(tests::patience()));
  EXPECT_EQ(content_of(path), std::to_string(*first.pid()) + "\n");
  const PidFile second(path);
  EXPECT_EQ(content_of(path), std::to_string(getpid()) + "\n");
}

TEST(PidFile, ALongerPidOfADeadDaemonLeavesNoRest) {
  const TempDir directory;
  const std::string path = directory.path("d.pid");
  std::ofstream(path) << "12345678901234567890\n";
  const PidFile file(path);
  EXPECT_EQ(content_of(path), std::to_string(getpid()) + "\n");
}

TEST(PidFile, GoesToTheProcessThatSharesItsLock) {
  const TempDir directory;
  const std::string path = directory.path("d.pid");
  {
    auto first = std::make_unique<PidFile>(path);
    PidFile second(path, sys::Descriptor(dup(first->fd())));
    first->write(12345);
    first->leave();
    first.reset();
    EXPECT_EQ(content_of(path), "12345\n");
    EXPECT_EQ(error_of([&] { const PidFile third(path); }).code(), ExitCode::unavailable);
    second.write(1);
    EXPECT_EQ(content_of(path), "1\n");
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST(PidFile, SharedAndNeverWrittenStaysTheOthers) {
  const TempDir directory;
  const std::string path = directory.path("d.pid");
  const PidFile first(path);
  { const PidFile shared(path, sys::Descriptor(dup(first.fd()))); }
  EXPECT_EQ(content_of(path), std::to_string(getpid()) + "\n");
}

TEST(PidFile, ADescriptorOfAnotherFileIsNoUse) {
  const TempDir directory;
  const PidFile other(directory.path("other.pid"));
  const std::string path = directory.path("d.pid");
  const PidFile file(path, sys::Descriptor(dup(other.fd())));
  EXPECT_EQ(content_of(path), std::to_string(getpid()) + "\n");
}

TEST(PidFile, AFileThatCannotBeMadeIsASystemError) {
  const TempDir directory;
  const FatalError error = error_of([&] { const PidFile file(directory.path("missing/d.pid")); });
  EXPECT_EQ(error.code(), ExitCode::system);
  EXPECT_THAT(error.what(), HasSubstr("missing/d.pid"));
  EXPECT_THAT(error.what(), HasSubstr("--pidfile"));
}

TEST(PidFile, ASymbolicLinkIsNotFollowed) {
  const TempDir directory;
  const std::string path = directory.path("d.pid");
  const std::string victim = directory.path("victim");
  std::ofstream(victim) << "precious";
  ASSERT_EQ(symlink(victim.c_str(), path.c_str()), 0);
  EXPECT_EQ(error_of([&] { const PidFile file(path); }).code(), ExitCode::system);
  EXPECT_EQ(content_of(victim), "precious");
}

TEST(MakeParentDirectory, MakesTheLastOneOnly) {
  const TempDir directory;
  make_parent_directory(directory.path("a/d.sock"));
  struct stat status {};
  ASSERT_EQ(stat(directory.path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, geteuid() == 0 ? 0755U : 0700U);
  EXPECT_NO_THROW(make_parent_directory(directory.path("a/d.sock")));
  EXPECT_NO_THROW(make_parent_directory("d.sock"));
  EXPECT_NO_THROW(make_parent_directory("/d.sock"));
  const FatalError error = error_of([&] { make_parent_directory(directory.path("b/c/d.sock")); });
  EXPECT_EQ(error.code(), ExitCode::system);
  EXPECT_THAT(error.what(), HasSubstr("b/c"));
}

}  // namespace
}  // namespace forkecho::server
