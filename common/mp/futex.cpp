#include "common/mp/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "common/sys/check_syscall.h"

namespace forkecho::mp {
namespace {

// The call takes the address of the plain integer that a lock-free atomic is.
long futex(const Word& word, int operation, std::uint32_t value, const timespec* until) {
  return syscall(SYS_futex, &word, operation, value, until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

void sleep_on_word(const Word& word, std::uint32_t seen, sys::Deadline deadline) {
  // FUTEX_WAIT_BITSET takes a moment on CLOCK_MONOTONIC where FUTEX_WAIT takes a time span.
  const timespec until = earlier(deadline, sys::Deadline::after(longest_sleep)).to_timespec();
  if (futex(word, FUTEX_WAIT_BITSET, seen, &until) == 0) return;
  if (errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT) sys::throw_errno(errno, "futex");
}

int wake_word(const Word& word, int count) {
  const int error = errno;  // a signal handler may be the caller
  const long woken = futex(word, FUTEX_WAKE, static_cast<std::uint32_t>(count), nullptr);
  errno = error;
  return static_cast<int>(woken);
}

}  // namespace forkecho::mp
