// Stress: when many of --max-connections are in use, clients that say nothing are given less time
// (--stress-timeout), so that those who have something to say get in. After Postfix's
// stress-adaptive behaviour (its STRESS_README): shorter timeouts under overload, and nobody turned
// away who speaks.
//
// The supervisor decides on its tick and publishes the answer in a word that everyone else reads;
// clients that were already there are held to the shorter time at their next wait. Pure functions.
#pragma once

#include <cstdint>

#include "server/options.h"

namespace forkecho::server {

/// Begins at 90 % of the limit, ends below 75 %: between the two it stays as it is.
constexpr bool decide_stress(bool stressed, std::uint64_t active, std::uint64_t limit) {
  return stressed ? active * 100 >= limit * 75 : active * 100 >= limit * 90;
}

/// The timeouts under stress: first byte and idle are at most timeouts.stress, also where they are
/// off.
inline Timeouts under_stress(Timeouts timeouts) {
  const auto shorten = [&timeouts](sys::Duration& timeout) {
    if (timeouts.stress == sys::Duration::zero()) return;
    if (timeout == sys::Duration::zero() || timeout > timeouts.stress) timeout = timeouts.stress;
  };
  shorten(timeouts.first_byte);
  shorten(timeouts.idle);
  return timeouts;
}

}  // namespace forkecho::server
