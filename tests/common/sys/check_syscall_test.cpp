#include "common/sys/check_syscall.h"

#include <gtest/gtest.h>
#include <sys/types.h>

#include <cerrno>
#include <string>

namespace forkecho::sys {
namespace {

TEST(CheckSyscall, HandsTheResultThrough) {
  EXPECT_EQ(check_syscall(0, "a call"), 0);
  EXPECT_EQ(check_syscall(ssize_t{4096}, "a call"), 4096);
  EXPECT_EQ(check_syscall(-2, "a call"), -2);  // only -1 says that it failed
}

TEST(CheckSyscall, ThrowsErrnoAndWhatWasTried) {
  errno = ENOSPC;
  try {
    check_syscall(-1, std::string("writing the report"));
    FAIL() << "nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_space_on_device);
    EXPECT_NE(std::string(error.what()).find("writing the report"), std::string::npos);
  }
}

TEST(CheckSyscall, KnowsTheFailureOfAWiderType) {
  errno = EIO;
  EXPECT_THROW(check_syscall(ssize_t{-1}, "a read"), std::system_error);
}

TEST(RetryOnInterrupt, CallsAgainUntilNoSignalIsInTheWay) {
  int calls = 0;
  const int result = retry_on_interrupt([&] {
    errno = EINTR;
    return ++calls < 3 ? -1 : 7;
  });
  EXPECT_EQ(result, 7);
  EXPECT_EQ(calls, 3);
}

TEST(RetryOnInterrupt, LeavesOtherErrorsToTheCaller) {
  int calls = 0;
  const int result = retry_on_interrupt([&] {
    ++calls;
    errno = EAGAIN;
    return -1;
  });
  EXPECT_EQ(result, -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace forkecho::sys
