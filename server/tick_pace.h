// How soon the supervisor looks again: a pure decision. The less there is to watch, the more seldom
// it wakes.
#pragma once

#include <algorithm>
#include <chrono>

#include "common/sys/deadline.h"
#include "server/life_cycle.h"

namespace forkecho::server {

inline constexpr auto busy_tick = std::chrono::milliseconds(100);  // the pool works
inline constexpr auto quiet_tick = std::chrono::seconds(1);
inline constexpr auto drain_tick = std::chrono::milliseconds(25);
inline constexpr auto replacing_tick = std::chrono::milliseconds(2);  // a generation settles in

struct TickFacts {
  State state = State::running;
  bool is_replacing = false;  // a generation, or this daemon another
  bool closes_doors = false;  // that a daemon which replaced this one does not want
  bool is_busy = false;       // processes come and go
  bool looks_early = false;   // for stress
  sys::Duration longest = sys::Duration::max();  // that the service manager lets us be silent
};

inline sys::Duration time_to_next_tick(const TickFacts& facts) {
  if (facts.state >= State::draining) return drain_tick;
  if (facts.is_replacing) return replacing_tick;
  if (facts.closes_doors) return drain_tick;
  if (facts.is_busy || facts.looks_early) return busy_tick;
  return std::min<sys::Duration>(quiet_tick, facts.longest);
}

}  // namespace forkecho::server
