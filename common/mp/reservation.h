// Reservation: keeps what becomes free for one thread that needs much of it, so that others who
// need little do not take each bit as it comes. For MessageRing: a message of many bytes among
// small ones.
//
// It lapses by itself: a holder that is killed, stopped or has lost interest keeps others waiting
// for `lease` at most; one that still waits renews it. Lies in shared memory; every call is made
// under one mutex. The clock's value is passed in, so that decisions depend on arguments alone.
#pragma once

#include <sys/types.h>

#include "common/mp/futex.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

class Reservation {
 public:
  /// Longer than a sleeper's longest time between two looks, at which it renews.
  static constexpr sys::Duration lease = 2 * longest_sleep;

  /// Whether there is one at all, lapsed or not: what is asked first, since mostly there is none.
  bool exists() const { return holder_ != 0; }
  /// Whether `thread` may take what is free.
  bool allows(pid_t thread, sys::Clock::time_point now) const {
    return holder_ == 0 || holder_ == thread || now >= until_;
  }
  /// Makes or renews it for `thread`; without effect while it is another's.
  void claim(pid_t thread, sys::Clock::time_point now) {
    if (!allows(thread, now)) return;
    holder_ = thread;
    until_ = now + lease;
  }
  /// Without effect when it is another's.
  void give_up(pid_t thread) {
    if (holder_ == thread) holder_ = 0;
  }

 private:
  pid_t holder_ = 0;
  sys::Clock::time_point until_{};
};

}  // namespace forkecho::mp
