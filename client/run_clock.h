// RunClock: when the parts of a run begin and end; RunControl: what all processes of a run share.
// Both are set before the fork; the monotonic clock is the same for all.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "common/mp/raw_shared.h"
#include "common/sys/deadline.h"

namespace forkecho::client {

struct RunClock {
  sys::Clock::time_point start;          // of the warm-up; all workers begin here
  sys::Clock::time_point measure_start;  // of the measured part
  sys::Clock::time_point measure_end;  // no request is sent from here on; max() if they are counted
};

struct RunControl {
  std::atomic<bool> stop;                     // the parent asks all to send nothing more
  std::atomic<std::uint64_t> requests_taken;  // of the plan's number of requests, by all workers
};

/// When requests of an open loop were sent: every `stride`th of the plan, for the test of whether
/// their arrivals are what was planned. Each place is written once, by the worker whose request it
/// is.
struct ArrivalSample {
  static constexpr std::size_t places = 4096;
  std::uint64_t stride;                      // 0 in a closed loop: nothing is noted
  std::atomic<std::uint64_t> at_ns[places];  // of the monotonic clock; 0 = never sent

  void note(std::uint64_t number, std::uint64_t ns) {
    if (stride == 0 || number % stride != 0 || number / stride >= places) return;
    at_ns[number / stride].store(ns, std::memory_order_relaxed);
  }
};

static_assert(mp::Shareable<RunControl> && mp::Shareable<ArrivalSample>);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<bool>::is_always_lock_free);

inline std::uint64_t to_ns(sys::Clock::time_point moment) {
  return static_cast<std::uint64_t>(moment.time_since_epoch() / std::chrono::nanoseconds(1));
}

}  // namespace forkecho::client
