// The moment at which several load processes, on several machines, begin together: --start-at, as
// text and by the clock. Used by load and run_load.
//
// How exactly they begin together is up to the machines' clocks: see README, "From one to fifty
// machines".
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/sys/deadline.h"

namespace forkecho::client {

using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;

/// "2026-11-21T12:00:00Z", with or without three decimals, or "@" and seconds since the epoch, with
/// up to nine decimals. Empty for any other text. Pure.
std::optional<WallTime> parse_start_moment(std::string_view text);
/// "2026-11-21T12:00:00.000Z". Pure.
std::string to_string(WallTime moment);

WallTime wall_time_now();
/// The same moment on the monotonic clock, as the two stand now: one that a step of the wall clock
/// still moves.
sys::Clock::time_point monotonic(WallTime moment);

/// Blocks until `moment`, however the wall clock is set meanwhile. False when SIGINT or SIGTERM
/// came first. In a process of one thread.
bool wait_for_moment(WallTime moment);

}  // namespace forkecho::client
