#include "server/acceptor_signals.h"

#include <sys/signalfd.h>

#include "common/sys/check_syscall.h"
#include "common/sys/raw_syscall.h"

namespace forkecho::server {
namespace {

constexpr std::size_t kernels_signal_set_bytes = 8;

sigset_t watched_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {ended_signal(), SIGTERM, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGQUIT})
    sigaddset(&signals, number);
  return signals;
}

}  // namespace

AcceptorSignals::AcceptorSignals()
    : watched_(watched_signals()),
      descriptor_(
          sys::check_syscall(signalfd(-1, &watched_, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd")) {}

/// Not by read: it has no pid of those that tell of an end, which a signalfd knows of SIGCHLD
/// alone.
int AcceptorSignals::take(siginfo_t& info) const {
  const timespec no_wait{};
  // Silent: mostly the second finds nothing.
  return static_cast<int>(sys::silent_syscall(SYS_rt_sigtimedwait, &watched_, &info, &no_wait,
                                              kernels_signal_set_bytes));
}

}  // namespace forkecho::server
