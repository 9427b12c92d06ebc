// The one way from errno to an exception: what should not fail is wrapped in check_syscall, so that
// no result of the system goes unread. What is expected (end of file, a timeout, a dead owner) is a
// return value of the function that meets it, and never comes here.
//
// Safe in threads and after fork: no state.
#pragma once

#include <cerrno>
#include <concepts>
#include <string>
#include <system_error>

namespace forkecho::sys {

/// Throws std::system_error for `error` (an errno value), naming `what` the program was doing.
[[noreturn]] inline void throw_errno(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

/// Returns `result` unless it is -1; then throws std::system_error with errno and `what`.
template <std::signed_integral T>
T check_syscall(T result, const char* what) {
  if (result == T{-1}) throw_errno(errno, what);
  return result;
}

template <std::signed_integral T>
T check_syscall(T result, const std::string& what) {
  if (result == T{-1}) throw_errno(errno, what);
  return result;
}

/// Calls `call` again as long as a signal interrupts it (EINTR); for calls that may be restarted.
template <typename Call>
auto retry_on_interrupt(Call call) {
  for (;;) {
    auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

}  // namespace forkecho::sys
