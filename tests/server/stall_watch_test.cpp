#include "server/stall_watch.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using TimePoint = sys::Clock::time_point;

constexpr StallWatch::Sight stalled{.clients_wait = true, .somebody_is_free = true, .accepted = 7};

/// Looks every `period` at what `sight` shows; after how long it was told first, or 0.
template <typename SightAt>
sys::Duration told_after(SightAt sight, sys::Duration period = 100ms, sys::Duration end = 10s) {
  StallWatch watch;
  const TimePoint begin{1h};
  for (sys::Duration at{0}; at <= end; at += period) {
    if (watch.look(sight(at), begin + at)) return at;
  }
  return sys::Duration::zero();
}

TEST(StallWatch, TellsAfterItsPatience) {
  // The first look only shows what the next ones are compared with.
  EXPECT_EQ(told_after([](auto) { return stalled; }), StallWatch::patience);
  EXPECT_EQ(told_after([](auto) { return stalled; }, 1s), StallWatch::patience);
}

TEST(StallWatch, TellsNothingWhereNobodyWaitsOrNobodyIsFreeOrSomebodyIsTaken) {
  EXPECT_EQ(told_after([](auto) { return StallWatch::Sight{false, true, 7}; }), 0s);
  EXPECT_EQ(told_after([](auto) { return StallWatch::Sight{true, false, 7}; }), 0s);
  EXPECT_EQ(told_after([](sys::Duration at) {
              return StallWatch::Sight{true, true, static_cast<std::uint64_t>(at / 1s)};
            }),
            0s);
}

TEST(StallWatch, BeginsAnewAfterEveryProgress) {
  const auto stalls_after_5s = [](sys::Duration at) {
    return StallWatch::Sight{true, true, at < 5s ? static_cast<std::uint64_t>(at / 1ms) : 0};
  };
  EXPECT_EQ(told_after(stalls_after_5s), 5s + StallWatch::patience);
}

TEST(StallWatch, BeginsAnewAfterItHasTold) {
  StallWatch watch;
  int told = 0;
  for (sys::Duration at{0}; at <= 6500ms; at += 100ms)
    told += watch.look(stalled, TimePoint{1h} + at);
  EXPECT_EQ(told, 3);
}

/// Somebody who slept through the time in between has seen nothing.
TEST(StallWatch, ConcludesNothingFromALookAfterALongPause) {
  EXPECT_EQ(told_after([](auto) { return stalled; }, 5s, 100s), 0s);
}

}  // namespace
}  // namespace forkecho::server
