// System calls without the C library's wrappers, for the few that a child makes between fork and
// exit. Each wrapper lies on a page of its own in the program; its first use in a new process
// faults, and the kernel maps the fifteen pages around it as well and unmaps them again at exit:
// some 3 us for each wrapper, of the 150 us that such a child costs.
//
// Inline, so that the call is where its caller is. Async-signal-safe; no cancellation points.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace forkecho::sys {

/// Up to six arguments, each a number or a pointer. Errors are told as the kernel does, by -errno;
/// the variable errno is not written: after a fork its page would have to be copied for that.
template <typename... Args>
[[gnu::always_inline]] inline long silent_syscall(long number, Args... args) {
#if defined(__x86_64__) && defined(__LP64__)
  long values[6] = {(long)args...};  // NOLINT: a pointer or a number, as the kernel takes them
  register long r10 asm("r10") = values[3];
  register long r8 asm("r8") = values[4];
  register long r9 asm("r9") = values[5];
  long result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(values[0]), "S"(values[1]), "d"(values[2]), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#else
  const long result = ::syscall(number, args...);
  return result == -1 ? -errno : result;
#endif
}

/// The same, told as by the C library: -1 and errno.
template <typename... Args>
[[gnu::always_inline]] inline long raw_syscall(long number, Args... args) {
  const long result = silent_syscall(number, args...);
  if (result < 0 && result >= -4095) [[unlikely]] {
    errno = static_cast<int>(-result);
    return -1;
  }
  return result;
}

}  // namespace forkecho::sys
