#include "common/mp/fork.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>

#include "common/mp/child_registry.h"
#include "common/mp/clone.h"
#include "common/mp/kernel_action.h"
#include "common/mp/robust_mutex.h"
#include "common/mp/step.h"
#include "common/sys/raw_syscall.h"

namespace forkecho::mp {
namespace {

sigset_t every_signal() {
  sigset_t set;
  sigfillset(&set);
  return set;
}

pid_t fork_whole() {
  return __libc_single_threaded ? ::_Fork() : ::fork();
}

[[gnu::hot]] pid_t fork_with(ForkHandlers handlers) {
  if (handlers == ForkHandlers::keep) return fork_whole();
  if (const auto pid = clone_without_handlers()) return *pid;
  const pid_t pid = fork_whole();
  if (pid == 0) reset_signal_handlers();
  return pid;
}

}  // namespace

[[gnu::hot]] pid_t fork_process() {
  const RegistryGuard guard;
  return fork_guarded(ForkHandlers::keep);
}

[[gnu::hot]] pid_t fork_guarded(ForkHandlers handlers) {
  sigset_t before;
  const sigset_t all = every_signal();
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork_with(handlers);
  if (pid == 0) {
    ChildRegistry::forget_parents_children();
    detail::forget_robust_mutexes_held();
    return 0;
  }
  const int error = errno;
  if (pid > 0) ChildRegistry::lose(pid);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) errno = error;
  return pid;
}

[[gnu::hot]] void accept_signals() {
  const std::uint64_t none = 0;  // the kernel's set: a bit for each of 64 signals
  sys::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
}

[[gnu::hot]] void reset_signal_handlers() {
  for (int number = 1; number <= last_signal; ++number) {
    if (std::ranges::find(internal_signals, number) != std::end(internal_signals)) continue;
    const auto handler = action_of(number).handler;
    if (handler != SIG_DFL && handler != SIG_IGN) set_default_action(number);
  }
}

[[gnu::hot]] void die_with_parent(pid_t parent, int signal, pid_t other_parent) {
  sys::raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, signal);
  FORKECHO_MP_STEP("process.child.bound");
  const auto now = static_cast<pid_t>(sys::raw_syscall(SYS_getppid));
  if (now != parent && (other_parent == 0 || now != other_parent)) _exit(orphaned);
}

}  // namespace forkecho::mp
