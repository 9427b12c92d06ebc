#include "server/accept_rate.h"

#include <algorithm>

namespace forkecho::server {

/// The word, mended if it is further ahead than an empty bucket: it is of other options then, or
/// nonsense. Less than a second may be the work of one whose look at the clock is younger than
/// ours.
std::int64_t AcceptRate::load_bounded(std::int64_t now) const {
  constexpr std::int64_t second = 1'000'000'000;
  std::int64_t seen = word_.load(std::memory_order_relaxed);
  while (seen > empty_at(now) + second &&
         !word_.compare_exchange_weak(seen, empty_at(now), std::memory_order_relaxed)) {
  }
  return std::min(seen, empty_at(now));
}

bool AcceptRate::take(TimePoint when) {
  const std::int64_t now = count_of(when);
  std::int64_t seen = load_bounded(now);
  for (;;) {
    const std::int64_t due = std::clamp(seen, now, empty_at(now));
    if (due - tolerance_ > now) return false;
    if (word_.compare_exchange_weak(seen, due + interval_, std::memory_order_relaxed)) return true;
  }
}

void AcceptRate::take_over(const std::atomic<std::int64_t>& other) {
  const std::int64_t reached = other.load(std::memory_order_relaxed);
  std::int64_t seen = word_.load(std::memory_order_relaxed);
  while (seen < reached && !word_.compare_exchange_weak(seen, reached, std::memory_order_relaxed)) {
  }
}

}  // namespace forkecho::server
