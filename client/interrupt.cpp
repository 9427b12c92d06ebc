#include "client/interrupt.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "common/sys/check_syscall.h"

namespace forkecho::client {
namespace {

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

InterruptWatch::InterruptWatch() {
  const sigset_t set = watched_signals();
  sys::check_syscall(sigprocmask(SIG_BLOCK, &set, &mask_before_), "sigprocmask");
  signals_.reset(sys::check_syscall(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
  // Only for the children to inherit: a blocked signal is kept for the signalfd even if it is
  // ignored. One that waits already would be dropped by the change, and is sent again.
  sigset_t waiting;
  sigpending(&waiting);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sys::check_syscall(sigaction(SIGINT, &ignore, &interrupt_before_), "sigaction");
  if (sigismember(&waiting, SIGINT) == 1) std::raise(SIGINT);
}

InterruptWatch::~InterruptWatch() {
  restore();
}

void InterruptWatch::take() {
  signalfd_siginfo taken{};
  while (read(signals_.get(), &taken, sizeof taken) > 0) continue;
  restore();
}

void InterruptWatch::restore() {
  if (!watching_) return;
  watching_ = false;
  sigaction(SIGINT, &interrupt_before_, nullptr);
  sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
}

}  // namespace forkecho::client
