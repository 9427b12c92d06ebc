// Pace: whether clients come so fast that forking ahead of them is of no use: each spare would be
// taken the moment it is there, at the price of two more switches between processes than a child
// that is forked for a client who waits already.
//
// A pure decision on two running means, each over some 16 of its kind; refill.h feeds it. Not
// hurried until there is something to tell by.
#pragma once

#include <algorithm>

#include "common/sys/deadline.h"

namespace forkecho::server {

class Pace {
 public:
  using TimePoint = sys::Clock::time_point;
  /// Clients that come faster than two in so many times that a fork takes keep an acceptor busy for
  /// two fifths of its time, and, with what the children cost, both processors of a small machine.
  /// At half of that they are still forked for ahead.
  static constexpr int forks_per_two_gaps = 5;
  /// After so long without a client all is calm again.
  static constexpr sys::Duration calm = std::chrono::milliseconds(5);

  void forked(sys::Duration took) { fork_ += (took - fork_) / weight(fork_); }
  /// `count` clients came, up to now.
  void came(unsigned count, TimePoint now) {
    // A long silence says no more than that there was one.
    const sys::Duration gap = std::min<sys::Duration>(now - last_, calm) / std::max(1U, count);
    for (; count > 0; --count) gap_ += (gap - gap_) / weight(gap_);
    last_ = now;
  }
  bool is_hurried(TimePoint now) const {
    return gap_ > sys::Duration::zero() && 2 * gap_ < fork_ * forks_per_two_gaps &&
           now - last_ < calm;
  }
  /// When it will be calm if nobody comes.
  TimePoint calm_at() const { return last_ + calm; }

 private:
  static int weight(sys::Duration mean) { return mean == sys::Duration::zero() ? 1 : 16; }
  sys::Duration fork_{0};
  sys::Duration gap_{0};
  TimePoint last_{};
};

}  // namespace forkecho::server
