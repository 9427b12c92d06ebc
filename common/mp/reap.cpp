#include "common/mp/reap.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "common/mp/child_registry.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp {
namespace {

Reaped reap(idtype_t kind, id_t id) {
  siginfo_t info{};
  const int result =
      sys::retry_on_interrupt([&] { return waitid(kind, id, &info, WEXITED | WNOHANG); });
  if (result == -1) {
    if (errno == ECHILD) return {.exit = std::nullopt, .none_left = true};
    sys::throw_errno(errno, "waitid");
  }
  if (info.si_pid == 0) return {};
  const Exit exit{info.si_pid, info.si_code == CLD_EXITED ? info.si_status : -info.si_status};
  ChildRegistry::deliver(exit.pid, exit.exitcode);
  return {.exit = exit, .none_left = false};
}

// The system call itself: glibc 2.36 declares pidfd_open without extern "C".
int open_pidfd(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

}  // namespace

Reaped reap_any() {
  return reap(P_ALL, 0);
}
Reaped reap_one(pid_t pid) {
  const Reaped result = reap(P_PID, static_cast<id_t>(pid));
  if (result.none_left) ChildRegistry::deliver(pid, exit_unknown);
  return result;
}
Reaped reap_group(pid_t group) {
  return reap(P_PGID, static_cast<id_t>(group));
}

std::optional<pid_t> peek_ended() {
  siginfo_t info{};
  const int result =
      sys::retry_on_interrupt([&] { return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT); });
  if (result == -1 || info.si_pid == 0) return std::nullopt;
  return info.si_pid;
}

sys::Descriptor open_sentinel(pid_t pid) {
  return sys::Descriptor(sys::check_syscall(open_pidfd(pid), "pidfd_open"));
}

std::optional<Exit> reap_before(pid_t pid, sys::Deadline deadline) {
  if (const Reaped now = reap_one(pid); now.exit || now.none_left) return now.exit;
  const sys::Descriptor sentinel(open_pidfd(pid));
  if (!sentinel) {
    if (errno == ESRCH) return reap_one(pid).exit;  // reaped by the kernel since we looked
    sys::throw_errno(errno, "pidfd_open");
  }
  for (;;) {
    pollfd entry{.fd = sentinel.get(), .events = POLLIN, .revents = 0};
    const int ready = poll(&entry, 1, deadline.poll_timeout_ms());
    if (ready == -1 && errno != EINTR) sys::throw_errno(errno, "poll");
    if (const Reaped now = reap_one(pid); now.exit || now.none_left) return now.exit;
    if (deadline.passed()) return std::nullopt;
  }
}

}  // namespace forkecho::mp
