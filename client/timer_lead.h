// TimerLead: how much earlier than a moment the event loop asks to be woken for it, since a kernel
// wakes a sleeper late: by 1 to 5 µs where the processor is the machine's own, by 15 to 60 µs where
// it is a guest's and must be woken by its host. Kept by the event loop; each sleep that its timer
// ended tells how late it was.
//
// The lead is about the sixteenth part's quantile of the latenesses seen: most sleeps then end
// after their moment, by as much less as the lead is; one in some sixteen ends a little before it,
// and the loop looks for events until it is there, which is no more than the difference. So nothing
// is sent before its moment, and next to no processor time is spent on it.
//
// Pure; a value type. Nothing fails.
#pragma once

#include <algorithm>

#include "common/sys/deadline.h"

namespace forkecho::client {

class TimerLead {
 public:
  /// What is longer is no lateness of the kernel's, but another process in the way.
  static constexpr sys::Duration longest = std::chrono::microseconds(60);

  sys::Duration get() const { return lead_; }

  /// A sleep was ended by its timer, `lateness` after the moment that the kernel was asked for.
  void saw(sys::Duration lateness) {
    const sys::Duration next = lateness > lead_ ? lead_ + rise : lead_ - fall;
    lead_ = std::clamp(next, sys::Duration::zero(), longest);
  }

 private:
  // Stochastic approximation of a quantile (Robbins and Monro, 1951): at rest as many steps up as
  // down, so that rise / (rise + fall) of all latenesses are below the lead.
  static constexpr sys::Duration rise = std::chrono::nanoseconds(60);
  static constexpr sys::Duration fall = std::chrono::nanoseconds(900);

  sys::Duration lead_{0};
};

}  // namespace forkecho::client
