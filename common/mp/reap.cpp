#include "common/mp/reap.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "common/mp/child_registry.h"
#include "common/sys/check_syscall.h"
#include "common/sys/raw_syscall.h"

namespace forkecho::mp {
namespace {

/// Whatever signal they send at their end (fork_onto.h).
constexpr int ended = WEXITED | __WALL;

int exitcode_in(const siginfo_t& info) {
  return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

Reaped reap(idtype_t kind, id_t id, int options = ended | WNOHANG) {
  siginfo_t info{};
  const int result = sys::retry_on_interrupt([&] { return waitid(kind, id, &info, options); });
  if (result == -1) {
    if (errno == ECHILD) return {.exit = std::nullopt, .none_left = true, .delivered = false};
    sys::throw_errno(errno, "waitid");
  }
  if (info.si_pid == 0) return {};
  const Exit exit{info.si_pid, exitcode_in(info)};
  const bool delivered = ChildRegistry::deliver(exit.pid, exit.exitcode);
  return {.exit = exit, .none_left = false, .delivered = delivered};
}

Reaped reap_guarded_one(pid_t pid, int options = ended | WNOHANG) {
  const Reaped result = reap(P_PID, static_cast<id_t>(pid), options);
  if (result.none_left) ChildRegistry::deliver(pid, exit_unknown);
  return result;
}

// The system call itself: glibc 2.36 declares pidfd_open without extern "C".
int open_pidfd(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

}  // namespace

Reaped reap_any() {
  const RegistryGuard guard;
  return reap(P_ALL, 0);
}
Reaped reap_one(pid_t pid) {
  const RegistryGuard guard;
  return reap_guarded_one(pid);
}
Reaped reap_group(pid_t group) {
  const RegistryGuard guard;
  return reap(P_PGID, static_cast<id_t>(group));
}

std::optional<Exit> peek_ended() {
  siginfo_t info{};
  // Not interrupted: it does not wait. Silent: who has no child left asks all the same.
  const long result =
      sys::silent_syscall(SYS_waitid, P_ALL, 0, &info, ended | WNOHANG | WNOWAIT, nullptr);
  if (result < 0 || info.si_pid == 0) return std::nullopt;
  return Exit{info.si_pid, exitcode_in(info)};
}

Reaped peek_one(pid_t pid) {
  siginfo_t info{};
  const int result = sys::retry_on_interrupt(
      [&] { return waitid(P_PID, static_cast<id_t>(pid), &info, ended | WNOHANG | WNOWAIT); });
  if (result == -1) return {.exit = std::nullopt, .none_left = true, .delivered = false};
  if (info.si_pid == 0) return {};
  return {.exit = Exit{info.si_pid, exitcode_in(info)}, .none_left = false, .delivered = false};
}

std::optional<pid_t> take_stopped() {
  siginfo_t info{};
  const int result =
      sys::retry_on_interrupt([&] { return waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG | __WALL); });
  if (result == -1 || info.si_pid == 0) return std::nullopt;
  return info.si_pid;
}

bool is_unreaped_child(pid_t pid) {
  siginfo_t info{};
  return sys::retry_on_interrupt([&] {
           return waitid(P_PID, static_cast<id_t>(pid), &info, ended | WNOHANG | WNOWAIT);
         }) == 0;
}

sys::Descriptor open_sentinel(pid_t pid) {
  return sys::Descriptor(sys::check_syscall(open_pidfd(pid), "pidfd_open"));
}

sys::Descriptor open_sentinel_or_ended(pid_t pid) {
  const int pidfd = open_pidfd(pid);
  if (pidfd == -1 && errno == ESRCH) return open_ended_sentinel();
  return sys::Descriptor(sys::check_syscall(pidfd, "pidfd_open"));
}

sys::Descriptor open_ended_sentinel() {
  return sys::Descriptor(sys::check_syscall(eventfd(1, EFD_CLOEXEC), "eventfd"));
}

namespace {

std::optional<Exit> reap_at_its_end(pid_t pid) {
  if (__libc_single_threaded) return reap_guarded_one(pid, ended).exit;
  // Left unreaped while nobody holds the guard: whoever reaps delivers before others may look.
  siginfo_t info{};
  const int result = sys::retry_on_interrupt(
      [&] { return waitid(P_PID, static_cast<id_t>(pid), &info, ended | WNOWAIT); });
  if (result == -1 && errno != ECHILD) sys::throw_errno(errno, "waitid");
  return reap_one(pid).exit;
}

}  // namespace

std::optional<Exit> reap_before(pid_t pid, sys::Deadline deadline) {
  if (deadline.is_never()) return reap_at_its_end(pid);
  if (const Reaped now = reap_one(pid); now.exit || now.none_left || deadline.passed())
    return now.exit;
  const sys::Descriptor sentinel = open_sentinel_or_ended(pid);
  for (;;) {
    pollfd entry{.fd = sentinel.get(), .events = POLLIN, .revents = 0};
    const int ready = poll(&entry, 1, deadline.poll_timeout_ms());
    if (ready == -1 && errno != EINTR) sys::throw_errno(errno, "poll");
    if (const Reaped now = reap_one(pid); now.exit || now.none_left) return now.exit;
    if (deadline.passed()) return std::nullopt;
  }
}

}  // namespace forkecho::mp
