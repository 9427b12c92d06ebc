// Backoff: how long to wait before the next attempt to start a process that keeps dying before its
// first connection: 2 s, doubling to 60 s. A few deaths by a signal are forgiven: they may have
// been meant for that process alone. Pure bookkeeping; no clock.
#pragma once

#include <algorithm>
#include <chrono>

namespace forkecho::server {

class Backoff {
 public:
  using Seconds = std::chrono::seconds;
  static constexpr Seconds first{2};
  static constexpr Seconds longest{60};
  static constexpr unsigned forgiven = 3;

  /// A process ended before its first connection: the pause before the next start.
  Seconds failed(bool by_signal = false) {
    if (by_signal && pause_ == Seconds::zero() && ++unlucky_ <= forgiven) return Seconds::zero();
    pause_ = pause_ == Seconds::zero() ? first : std::min(pause_ * 2, longest);
    return pause_;
  }
  void succeeded() {
    pause_ = Seconds::zero();
    unlucky_ = 0;
  }

 private:
  Seconds pause_{0};
  unsigned unlucky_ = 0;
};

}  // namespace forkecho::server
