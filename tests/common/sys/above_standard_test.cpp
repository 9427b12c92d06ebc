#include "common/sys/above_standard.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <system_error>

#include "tests/support/child.h"

namespace forkecho::sys {
namespace {

int open_null() {
  return open("/dev/null", O_RDONLY);
}
bool is_open(int fd) {
  return fcntl(fd, F_GETFD) != -1;
}

TEST(AboveStandard, MovesAStandardNumber) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              close(STDIN_FILENO);
              close(STDERR_FILENO);
              for (const int number : {STDIN_FILENO, STDERR_FILENO}) {
                if (open_null() != number) return 1;
                const Descriptor moved = above_standard(number);
                if (moved.get() <= STDERR_FILENO || fcntl(moved.get(), F_GETFD) != FD_CLOEXEC)
                  return 2;
                if (is_open(number)) return 3;
                if (open_null() != number) return 4;
              }
              return 0;
            }),
            0);
}

TEST(AboveStandard, LeavesOthersAlone) {
  const int number = open_null();
  ASSERT_GT(number, STDERR_FILENO);
  const Descriptor same = above_standard(number);
  EXPECT_EQ(same.get(), number);
  EXPECT_EQ(fcntl(number, F_GETFD), 0);
  EXPECT_FALSE(above_standard(-1));
}

TEST(AboveStandard, NoRoomIsAnErrorThatLeavesNothingOpen) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              close(STDIN_FILENO);
              const int number = open_null();
              const rlimit three{.rlim_cur = 3, .rlim_max = 3};
              setrlimit(RLIMIT_NOFILE, &three);
              try {
                above_standard(number);
              } catch (const std::system_error&) {
                return is_open(number) ? 1 : 0;
              }
              return 2;
            }),
            0);
}

}  // namespace
}  // namespace forkecho::sys
