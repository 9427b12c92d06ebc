// Backoff: how long to wait before the next start of a process that keeps dying before its first
// connection: 2 s, doubling to 60 s. What was done to it from outside is not its fault: of SIGKILLs
// a few are forgiven, and all of them while others of its kind are well. Whoever was started before
// the last death shares its misfortune, which counts once. Pure bookkeeping; no clock.
#pragma once

#include <algorithm>
#include <chrono>

namespace forkecho::server {

/// How a process ended before its first connection.
struct EarlyDeath {
  bool killed = false;               // by SIGKILL, which no process sends itself by a fault
  bool others_are_well = false;      // another of its kind lives, and has proved itself
  bool started_before_last = false;  // before the last early death
};

class Backoff {
 public:
  using Seconds = std::chrono::seconds;
  static constexpr Seconds first{2};
  static constexpr Seconds longest{60};
  static constexpr unsigned forgiven = 3;

  /// The pause before the next start; zero: none.
  Seconds after(const EarlyDeath& death) {
    if (death.started_before_last && (death.killed || pause_ > Seconds::zero()))
      return Seconds::zero();
    if (death.killed && (death.others_are_well || forgive())) return Seconds::zero();
    return pause_ = pause_ == Seconds::zero() ? first : std::min(pause_ * 2, longest);
  }
  void succeeded() {
    pause_ = Seconds::zero();
    unlucky_ = 0;
  }

 private:
  /// Without end it would be a spin: somebody kills, and somebody starts.
  bool forgive() { return pause_ == Seconds::zero() && ++unlucky_ <= forgiven; }

  Seconds pause_{0};
  unsigned unlucky_ = 0;
};

}  // namespace forkecho::server
