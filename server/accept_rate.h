// AcceptRate: at most N admissions per second, over all processes that share one word of memory. A
// token bucket, as the generic cell rate algorithm's virtual scheduling (ITU-T I.371, annex A): the
// word is the moment at which the next admission would be due if they came at exactly N a second;
// it may be in the future by the time that the burst takes.
//
// Nothing ticks, nobody refills; one compare-and-swap takes a token. No lock: a process killed
// between any two instructions has taken one token or none. A word that another process filled with
// nonsense is worth at most an empty bucket.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "common/sys/deadline.h"

namespace forkecho::server {

class AcceptRate {
 public:
  using TimePoint = sys::Clock::time_point;

  /// `per_second` and `burst` at least 1. `word`, on the monotonic clock, is zero at first: the
  /// bucket is full.
  AcceptRate(std::atomic<std::int64_t>& word, std::uint32_t per_second, std::uint32_t burst)
      : word_(word),
        interval_(std::chrono::nanoseconds(std::chrono::seconds(1)).count() / per_second),
        tolerance_((static_cast<std::int64_t>(burst) - 1) * interval_) {}

  /// When the next admission is due: `now` or earlier if at once.
  TimePoint ready_at(TimePoint now) const {
    return TimePoint(
        sys::Duration(std::max(load_bounded(count_of(now)), count_of(now)) - tolerance_));
  }
  /// Takes a token; false when none is there.
  bool take(TimePoint now);
  /// Of a token that was taken: nobody came.
  void give_back() { word_.fetch_sub(interval_, std::memory_order_relaxed); }
  /// Goes on where another word has got to, if that is further.
  void take_over(const std::atomic<std::int64_t>& other);

 private:
  static std::int64_t count_of(TimePoint when) { return when.time_since_epoch().count(); }
  std::int64_t load_bounded(std::int64_t now) const;
  std::int64_t empty_at(std::int64_t now) const { return now + tolerance_ + interval_; }

  std::atomic<std::int64_t>& word_;
  std::int64_t interval_;   // ns from one admission to the next
  std::int64_t tolerance_;  // ns that admissions may be ahead of their schedule
};

}  // namespace forkecho::server
