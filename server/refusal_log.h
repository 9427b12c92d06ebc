// RefusalLog: tells of refused connections in summary. Whoever refuses logs the first one after a
// while without any (gate.h); the supervisor, which has the books of all processes, sums up what
// followed, once in ten seconds for as long as it goes on. However many are refused, by however
// many processes, there are two lines at first and one in ten seconds after.
//
// Pure bookkeeping; no clock, no log.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/sys/deadline.h"
#include "server/source.h"

namespace forkecho::server {

/// Refused since the daemon started, by Refusal.
using RefusedCounts = std::array<std::uint64_t, 4>;

class RefusalLog {
 public:
  static constexpr auto interval = std::chrono::seconds(10);

  /// Call on every tick. The line that is due, if any. `most` is the source of most of them, as far
  /// as is known.
  std::optional<std::string> note(sys::Clock::time_point now, const RefusedCounts& refused,
                                  const std::function<Source()>& most);

 private:
  RefusedCounts told_{};
  std::optional<sys::Clock::time_point> since_;  // set while there are refusals to sum up
  bool first_ = true;                            // the next refusal has a line of its own
};

/// "refused 1,234 connections in the last 10 s: per_source 1,200, full 34 (most from 10.0.0.7)".
std::string refusal_summary(const RefusedCounts& refused, std::int64_t seconds, Source most);

}  // namespace forkecho::server
