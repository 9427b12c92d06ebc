#include "server/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/support/child.h"

namespace forkecho::server {
namespace {

TEST(Options, NamesOfModesAreReadAsTheyAreWritten) {
  for (const Mode mode : {Mode::iterative, Mode::fork, Mode::pool, Mode::event}) {
    EXPECT_EQ(parse_mode(to_string(mode)), mode);
  }
  EXPECT_EQ(parse_mode("fork"), Mode::fork);
  EXPECT_EQ(parse_mode("Fork"), std::nullopt);
  EXPECT_EQ(parse_mode(""), std::nullopt);
}

TEST(Options, NamesOfWhoAcceptsAreReadAsTheyAreWritten) {
  for (const Accept accept : {Accept::shared, Accept::lock, Accept::passing, Accept::reuseport}) {
    EXPECT_EQ(parse_accept(to_string(accept)), accept);
  }
  EXPECT_EQ(parse_accept("passing"), Accept::passing);
  EXPECT_EQ(parse_accept("pass"), std::nullopt);
}

TEST(Options, NamesOfWhenFullAreReadAsTheyAreWritten) {
  EXPECT_EQ(parse_when_full("wait"), WhenFull::wait);
  EXPECT_EQ(parse_when_full("refuse"), WhenFull::refuse);
  EXPECT_EQ(to_string(WhenFull::wait), "wait");
  EXPECT_EQ(to_string(WhenFull::refuse), "refuse");
  EXPECT_EQ(parse_when_full("never"), std::nullopt);
}

TEST(Options, DefaultPoolSizesContradictThemselvesOnNoMachine) {
  for (const unsigned processors : {1U, 2U, 3U, 64U, 1024U}) {
    const PoolSizes sizes = default_pool_sizes(processors);
    EXPECT_GE(sizes.min_spare, 1U);
    EXPECT_LE(sizes.min_spare, sizes.max_spare);
    EXPECT_LE(sizes.max_spare, sizes.max);
    EXPECT_GE(sizes.start, sizes.min_spare);
    EXPECT_LE(sizes.start, sizes.max_spare);
  }
}

TEST(Options, FilesBesideTheControlSocket) {
  EXPECT_EQ(beside_control("/run/forkecho/forkechod.sock", ".pid"), "/run/forkecho/forkechod.pid");
  EXPECT_EQ(beside_control("/tmp/control", ".log"), "/tmp/control.log");
  EXPECT_EQ(beside_control("a.sock.sock", ".pid"), "a.sock.pid");
}

TEST(Options, TheControlPathOfRootIsUnderRun) {
  if (geteuid() != 0) GTEST_SKIP() << "only root is root";
  EXPECT_EQ(default_control_path(), "/run/forkecho/forkechod.sock");
}

/// The default of user 65534 with this XDG_RUNTIME_DIR is as expected: exit code 0.
int check_path_of_nobody(const char* runtime_dir, const std::string& expected) {
  if (geteuid() == 0 && setuid(65534) != 0) return 2;
  runtime_dir == nullptr ? unsetenv("XDG_RUNTIME_DIR") : setenv("XDG_RUNTIME_DIR", runtime_dir, 1);
  return default_control_path() == expected ? 0 : 1;
}

TEST(Options, TheControlPathOfOthersIsTheirOwn) {
  const std::string uid = std::to_string(geteuid() == 0 ? 65534 : geteuid());
  EXPECT_EQ(tests::exitcode_in_child([] {
              return check_path_of_nobody("/run/user/7", "/run/user/7/forkecho/forkechod.sock");
            }),
            0);
  const std::string in_tmp = "/tmp/forkecho-" + uid + "/forkechod.sock";
  EXPECT_EQ(tests::exitcode_in_child([&] { return check_path_of_nobody(nullptr, in_tmp); }), 0);
  EXPECT_EQ(tests::exitcode_in_child([&] { return check_path_of_nobody("", in_tmp); }), 0);
}

TEST(DefaultAcceptors, AreTwoWhereBothCanRun) {
  EXPECT_EQ(default_acceptors(1), 1U);
  EXPECT_EQ(default_acceptors(2), 2U);
  EXPECT_EQ(default_acceptors(1024), 2U);
}

}  // namespace
}  // namespace forkecho::server
