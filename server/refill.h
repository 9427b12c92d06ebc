// Refill: when an acceptor forks other spares for those that were taken.
//
// Not beside a client who has just been taken: the fork would hold him up. So it waits until one
// has served, or for a moment, unless too few are left. Not while clients come so fast that each
// spare would be taken the moment it is there (pace.h), and not while spares die before they have
// served anybody (backoff.h).
//
// Pure bookkeeping, told of what happens and when; the acceptor asks after every turn of its loop
// (spare_keeper.h). No clock, not for threads.
#pragma once

#include <algorithm>

#include "common/sys/deadline.h"
#include "server/backoff.h"
#include "server/pace.h"

namespace forkecho::server {

class Refill {
 public:
  using TimePoint = sys::Clock::time_point;
  /// Others are forked for spares that were taken when one has served, or after so long.
  static constexpr sys::Duration patience = std::chrono::milliseconds(2);

  /// Something has changed: to be thought of at once.
  void at_once() { at_ = TimePoint{}; }
  /// `count` spares have taken a client each.
  void taken(unsigned count, TimePoint now) {
    backoff_.succeeded();
    pace_.came(count, now);
    if (at_ == TimePoint::max()) at_ = now + patience;
  }
  /// A client came for whom a child was forked.
  void client_came(TimePoint now) { pace_.came(1, now); }
  void forked(sys::Duration took) { pace_.forked(took); }
  /// What the acceptor came to when one was due. Where it forked some, it is a burst, or somebody
  /// was refused: there are more to come.
  void decided(bool forks, TimePoint now) { at_ = forks ? now + patience : TimePoint::max(); }
  /// A spare ended before its first client, by SIGKILL or by a fault. The pause before the next
  /// fork; zero: none.
  Backoff::Seconds died_early(bool killed, bool others_are_well, TimePoint now) {
    const auto pause = backoff_.after({.killed = killed,
                                       .others_are_well = others_are_well,
                                       .started_before_last = now < not_before_});
    if (pause > Backoff::Seconds::zero()) not_before_ = now + pause;
    return pause;
  }

  /// Whether to fork now, where those that are left can wait (Spares::can_wait), or not.
  bool is_due(bool can_wait, TimePoint now) const {
    return !pace_.is_hurried(now) && now >= not_before_ && (!can_wait || now >= at_);
  }
  /// When it may be due although nothing happens; TimePoint::max(): never.
  TimePoint next(TimePoint now) const {
    return pace_.is_hurried(now) ? pace_.calm_at() : std::max(at_, not_before_);
  }

 private:
  Pace pace_;
  Backoff backoff_;
  TimePoint not_before_{};
  TimePoint at_{};  // unless too few are left
};

}  // namespace forkecho::server
