// EndedChildren: how an acceptor learns which of its children have ended, at a cost that does not
// grow with the number of those that live.
//
// To ask the kernel for any child that has ended makes it look at all (waitid walks the list of
// children: 0.3 ms with 10,000 of them, 3 ms with 25,000), and SIGCHLD names one of many that end
// at once. So each child sends a real-time signal at its end (mp::fork_onto): these queue, and each
// says who has ended and how. No process can forge one, since the kernel lets nobody else say
// CLD_EXITED.
//
// Such a signal is lost where the user has too many pending (RLIMIT_SIGPENDING). So all children
// are looked at a while after something has happened, for a small part of the time.
//
// For the acceptor alone. Not for threads.
#pragma once

#include <algorithm>
#include <csignal>
#include <optional>

#include "common/mp/reap.h"
#include "common/sys/deadline.h"

namespace forkecho::server {

/// What a connection's child sends to its acceptor at its end.
inline int ended_signal() {
  return SIGRTMIN;
}

/// Who has ended; empty when the signal is another, or was sent by a process. As sigwaitinfo gives
/// it: a signalfd tells the pid of SIGCHLD alone.
std::optional<mp::Exit> exit_told_by(const siginfo_t& info);

/// When to look at all children, since there may be one that has ended and was not heard of. Pure
/// but for the clock.
class LooksAtAll {
 public:
  /// So long after something has happened, or nothing has.
  static constexpr auto soon = std::chrono::seconds(1);
  static constexpr auto now_and_then = std::chrono::seconds(10);
  /// A look that finds nobody is followed by a rest of so many times its length.
  static constexpr int rest_for_each = 100;

  /// A child was made, told to end, or has ended.
  void something_happened() {
    if (!hastened_) due_ = earlier(due_, sys::Deadline::after(soon));
    hastened_ = true;
  }
  /// There may be somebody.
  void at_once() { due_ = sys::Deadline::immediately(); }
  sys::Deadline next() const { return sys::Deadline::at(std::max(due_.when(), rest_.when())); }
  void looked(bool found, sys::Duration took);

 private:
  bool hastened_ = false;
  sys::Deadline due_ = sys::Deadline::immediately();
  sys::Deadline rest_ = sys::Deadline::immediately();
};

}  // namespace forkecho::server
