// For the kill tests of mp: children that are killed one after another in the middle of an
// operation, at a chosen step or at a random moment, while survivors go on with the same operation.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/mp/raw_shared.h"
#include "common/mp/step.h"
#include "tests/support/child.h"
#include "tests/support/kill_at_step.h"

namespace forkecho::tests {

/// Children that call act() again and again until they are told to stop; act returns 0, or the code
/// with which the child leaves at once.
class Survivors {
 public:
  Survivors() = default;
  Survivors(const Survivors&) = delete;
  Survivors& operator=(const Survivors&) = delete;
  ~Survivors() { stop(); }

  void start(int count, const std::function<int()>& act) {
    for (int i = 0; i < count; ++i) {
      pids_.push_back(start_child([&] {
        int code = 0;
        while (code == 0 && !stopping_->load()) {
          alarm(60);  // anew: a soak is longer than what a test's child may live
          code = act();
        }
        return code;
      }));
    }
  }
  /// For operations that wait for each other, which the caller helps to come to their end.
  void tell_to_stop() { stopping_->store(true); }
  bool told_to_stop() const { return stopping_->load(); }

  /// Each must have gone on to the end.
  void stop() {
    tell_to_stop();
    for (const pid_t pid : std::exchange(pids_, {})) EXPECT_EQ(exitcode_of(pid), 0);
  }

 private:
  mp::RawValue<std::atomic<bool>> stopping_;
  std::vector<pid_t> pids_;
};

/// A victim that does not come to its step in so many acts has no way there.
inline constexpr int most_acts = 200'000;

/// `times` children one after another, each of which calls act() until it is killed at `step` for
/// the first, second or third time.
inline void kill_each_at(const char* step, int times, const std::function<void()>& act) {
  const KillCount kills;
  for (int i = 0; i < times; ++i) {
    const pid_t victim = start_child([&] {
      kill_at_step(step, kills, 1 + static_cast<unsigned>(i % 3));
      for (int n = 0; n < most_acts; ++n) act();
      return 0;
    });
    ASSERT_EQ(exitcode_of(victim), -SIGKILL) << "never came to " << step;
  }
  EXPECT_EQ(kills.count(), static_cast<unsigned>(times)) << step;
}

/// `times` children one after another, each of which calls act() until it is killed from outside.
inline void kill_each_at_random(int times, const std::function<void()>& act) {
  std::mt19937 random(20'221);  // the moments differ anyway
  std::uniform_int_distribution<int> microseconds(0, 1500);
  for (int i = 0; i < times; ++i) {
    const pid_t victim = start_child([&] {
      for (;;) act();
      return 0;
    });
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
    kill(victim, SIGKILL);
    ASSERT_EQ(exitcode_of(victim), -SIGKILL);
  }
}

}  // namespace forkecho::tests
