// SpareWatch: whether spares fail to take clients: somebody waits, and somebody has waited, though
// there are spares (they were stopped, perhaps). Then the acceptor takes clients itself.
//
// Pure bookkeeping; the acceptor looks once a second and says what it saw (spare_keeper.h).
#pragma once

#include "common/sys/deadline.h"

namespace forkecho::server {

class SpareWatch {
 public:
  using TimePoint = sys::Clock::time_point;
  /// From one look to the next.
  static constexpr sys::Duration interval = std::chrono::seconds(1);

  bool is_due(TimePoint now) const { return now >= next_; }
  TimePoint next() const { return next_; }
  void look_at_once() { next_ = TimePoint{}; }
  void looked(bool somebody_waits, TimePoint now) {
    next_ = now + interval;
    fail_ = somebody_waits && somebody_waited_;
    somebody_waited_ = somebody_waits;
  }
  bool fail() const { return fail_; }

 private:
  bool fail_ = false;
  bool somebody_waited_ = false;  // at the last look
  TimePoint next_{};
};

}  // namespace forkecho::server
