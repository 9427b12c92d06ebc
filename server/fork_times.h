// ForkTimes: how long the calls of fork took, in buckets of fixed bounds, for status and metrics.
// Kept by an acceptor in its page of shared memory: one writer, relaxed readers, no system call.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "common/sys/deadline.h"
#include "server/counter.h"

namespace forkecho::server {

/// Each bound is twice the one before: 10 us, 20 us, ... 164 ms; the last bucket has none.
inline constexpr std::chrono::microseconds first_fork_time_bound{10};
inline constexpr std::size_t fork_time_bounds = 15;

/// The longest time that falls into bucket `index` < fork_time_bounds.
constexpr std::chrono::microseconds fork_time_bound(std::size_t index) {
  return first_fork_time_bound * (std::int64_t{1} << index);
}

/// The bucket of `time`: the first whose bound is not below it; fork_time_bounds when all are.
constexpr std::size_t fork_time_bucket(sys::Duration time) {
  if (time <= first_fork_time_bound) return 0;
  const auto steps =
      static_cast<std::uint64_t>((time.count() - 1) / sys::Duration(first_fork_time_bound).count());
  const auto index = static_cast<std::size_t>(std::bit_width(steps));
  return index < fork_time_bounds ? index : fork_time_bounds;
}

struct ForkTimeTotals {
  std::array<std::uint64_t, fork_time_bounds + 1> buckets{};  // not cumulative
  std::uint64_t sum_ns = 0;

  std::uint64_t count() const {
    std::uint64_t sum = 0;
    for (const auto in_bucket : buckets) sum += in_bucket;
    return sum;
  }
  ForkTimeTotals& operator+=(const ForkTimeTotals& other) {
    for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
    sum_ns += other.sum_ns;
    return *this;
  }
};

struct ForkTimes {
  std::array<Counter, fork_time_bounds + 1> buckets;
  Counter sum_ns;

  void record(sys::Duration time) {
    sum_ns.add(time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0);
    buckets[fork_time_bucket(time)].add(1);
  }
  ForkTimeTotals read() const {
    ForkTimeTotals totals;
    for (std::size_t i = 0; i < buckets.size(); ++i) totals.buckets[i] = buckets[i].get();
    totals.sum_ns = sum_ns.get();
    return totals;
  }
};

}  // namespace forkecho::server
