// For daemons that run as somebody else than root, which the limits of a user bind.
#pragma once

#include <grp.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/sys/check_syscall.h"

namespace forkecho::tests {

/// Nobody else's, so that only this daemon's processes count; not even those of the test before.
inline uid_t user_of_its_own() {
  static uid_t users = 0;
  return 200'000 + 10 * static_cast<uid_t>(getpid()) + ++users;
}

/// Makes the calling process, a child of a test that root runs, one of `user`.
inline void become(uid_t user) {
  sys::check_syscall(setgroups(0, nullptr), "setgroups");
  sys::check_syscall(setresgid(user, user, user), "setresgid");
  sys::check_syscall(setresuid(user, user, user), "setresuid");
}

/// The most processes that the caller's user may have, from now on.
inline void limit_processes(rlim_t processes) {
  const rlimit limit{.rlim_cur = processes, .rlim_max = processes};
  sys::check_syscall(setrlimit(RLIMIT_NPROC, &limit), "setrlimit");
}

}  // namespace forkecho::tests
