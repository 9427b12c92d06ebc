#include "common/mp/fork.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "common/mp/child_registry.h"
#include "common/sys/raw_syscall.h"

namespace forkecho::mp {
namespace {

sigset_t every_signal() {
  sigset_t set;
  sigfillset(&set);
  return set;
}

}  // namespace

[[gnu::hot]] pid_t fork_process(ForkMask mask) {
  const bool block = mask == ForkMask::block;
  sigset_t before;
  if (block) {
    const sigset_t all = every_signal();
    pthread_sigmask(SIG_SETMASK, &all, &before);
  }
  const pid_t pid = ::_Fork();
  if (pid == 0) {
    ChildRegistry::forget_parents_children();
    return 0;
  }
  if (block) {
    const int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
  }
  return pid;
}

[[gnu::hot]] void accept_signals() {
  const std::uint64_t none = 0;  // the kernel's set: a bit for each of 64 signals
  sys::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
}

void reset_signal_handlers() {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) != 0) continue;  // KILL, STOP and the C library's own
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, nullptr);
  }
}

[[gnu::hot]] void die_with_parent(pid_t parent, int signal, pid_t other_parent) {
  sys::raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, signal);
  const auto now = static_cast<pid_t>(sys::raw_syscall(SYS_getppid));
  if (now != parent && (other_parent == 0 || now != other_parent)) _exit(orphaned);
}

}  // namespace forkecho::mp
