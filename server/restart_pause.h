// RestartPause: when the process tree may start the next process: after a pause (backoff.h) when
// processes keep dying before their first connection, and after a second when the system refused
// one. Told how each ended; the clock is the caller's. Not for threads.
#pragma once

#include <csignal>

#include "common/sys/deadline.h"
#include "server/backoff.h"
#include "server/process_context.h"

namespace forkecho::server {

class RestartPause {
 public:
  /// After the system refused a process. The same always: an attempt costs little, and clients
  /// wait.
  static constexpr auto refused = std::chrono::seconds(1);

  bool is_over(sys::Clock::time_point now) const { return now >= not_before_; }
  void after_refusal(sys::Clock::time_point now) { not_before_ = now + refused; }
  /// A process ended that had proved itself, or was to leave.
  void after_life() { backoff_.succeeded(); }

  struct EarlyEnd {
    int exitcode;          // Python's
    bool others_are_well;  // another of its kind lives, and has proved itself
    sys::Clock::time_point started;
  };
  /// A process ended before it had proved itself. The pause until the next start; zero: none.
  Backoff::Seconds after_early_end(const EarlyEnd& end, sys::Clock::time_point now) {
    const auto pause = backoff_.after({.killed = is_victim(end.exitcode),
                                       .others_are_well = end.others_are_well,
                                       .started_before_last = end.started < last_early_end_});
    last_early_end_ = now;
    if (pause != Backoff::Seconds::zero()) not_before_ = now + pause;
    return pause;
  }

 private:
  /// A lock that is none is as little its own fault as a signal from outside.
  static bool is_victim(int exitcode) { return exitcode == -SIGKILL || exitcode == lock_broken; }

  Backoff backoff_;
  sys::Clock::time_point last_early_end_{};
  sys::Clock::time_point not_before_{};
};

}  // namespace forkecho::server
