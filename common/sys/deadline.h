// Deadline: a moment on the monotonic clock, or never. A deadline is passed down through the layers
// where a timeout would have to be recomputed after every partial wait (userver's deadline.hpp has
// the argument). CLOCK_MONOTONIC is the same in all processes of a machine, so a deadline may cross
// a fork.
//
// A value type; safe to copy anywhere.
#pragma once

#include <algorithm>
#include <chrono>
#include <climits>
#include <ctime>

namespace forkecho::sys {

using Clock = std::chrono::steady_clock;
using Duration = std::chrono::nanoseconds;

class Deadline {
 public:
  static Deadline never() { return Deadline(Clock::time_point::max()); }
  /// Has passed already: for a look without a wait.
  static Deadline immediately() { return Deadline(Clock::time_point{}); }
  static Deadline at(Clock::time_point when) { return Deadline(when); }
  /// `after` from now; a duration of zero or less has passed already.
  static Deadline after(Duration delay) {
    const auto now = Clock::now();
    return delay >= Clock::time_point::max() - now ? never() : Deadline(now + delay);
  }

  bool is_never() const { return when_ == Clock::time_point::max(); }
  bool passed() const { return !is_never() && Clock::now() >= when_; }
  Clock::time_point when() const { return when_; }

  /// Time left, never below zero; Duration::max() for never.
  Duration remaining() const {
    return is_never() ? Duration::max()
                      : std::max(Duration::zero(), Duration(when_ - Clock::now()));
  }
  /// For poll(2): milliseconds, rounded up so that a wait never ends early; -1 for never.
  int poll_timeout_ms() const {
    if (is_never()) return -1;
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(remaining()).count();
    return static_cast<int>(std::min<decltype(ms)>(ms, INT_MAX));
  }
  /// For pthread_mutex_clocklock and the like, on CLOCK_MONOTONIC. Not for never.
  timespec to_timespec() const {
    const auto since_epoch = when_.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
    return {.tv_sec = static_cast<time_t>(seconds.count()),
            .tv_nsec = static_cast<long>((since_epoch - seconds).count())};
  }

  friend Deadline earlier(Deadline a, Deadline b) { return a.when_ < b.when_ ? a : b; }

 private:
  explicit Deadline(Clock::time_point when) : when_(when) {}
  Clock::time_point when_;
};

}  // namespace forkecho::sys
