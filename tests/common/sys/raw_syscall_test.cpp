#include "common/sys/raw_syscall.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "common/sys/descriptor.h"

namespace forkecho::sys {
namespace {

TEST(RawSyscall, GivesTheKernelsResult) {
  EXPECT_EQ(raw_syscall(SYS_getpid), getpid());
  EXPECT_EQ(silent_syscall(SYS_getpid), getpid());
}

TEST(RawSyscall, PassesUpToSixArguments) {
  std::array<int, 2> ends{};
  ASSERT_EQ(raw_syscall(SYS_pipe2, ends.data(), 0), 0);
  const Descriptor read_end(ends[0]);
  const Descriptor write_end(ends[1]);
  EXPECT_EQ(raw_syscall(SYS_write, write_end.get(), "abc", 3), 3);
  // splice from a pipe wants all six: its flags are the last.
  EXPECT_EQ(silent_syscall(SYS_splice, read_end.get(), nullptr, read_end.get(), nullptr, 1, ~0U),
            -EINVAL);
}

TEST(RawSyscall, TellsAnErrorAsTheCLibraryDoes) {
  errno = 0;
  EXPECT_EQ(raw_syscall(SYS_close, -1), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST(SilentSyscall, TellsAnErrorAsTheKernelDoesAndLeavesErrno) {
  errno = ERANGE;
  EXPECT_EQ(silent_syscall(SYS_close, -1), -EBADF);
  EXPECT_EQ(errno, ERANGE);
}

}  // namespace
}  // namespace forkecho::sys
