// AdmissionWatch: what the supervisor has to do with admissions: it decides whether the daemon is
// under stress and tells all processes (stress.h), and sums up in the log whom they refused
// (refusal_log.h). Called on its tick; never blocks.
#pragma once

#include "server/book.h"
#include "server/generations.h"
#include "server/refusal_log.h"

namespace forkecho::server {

class AdmissionWatch {
 public:
  /// `totals`: those of all generations.
  void tick(const Generations& generations, const BookTotals& totals, sys::Clock::time_point now);
  bool stressed() const { return stressed_; }
  /// True where stress must be seen early.
  static bool needs_short_ticks(const Options& options) {
    return options.timeouts.stress != sys::Duration::zero();
  }

 private:
  void follow_stress(const Generations& generations, std::uint64_t active);

  bool stressed_ = false;
  RefusalLog refusals_;
};

}  // namespace forkecho::server
