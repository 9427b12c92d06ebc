// Kills the calling process at a step of mp (common/mp/step.h), and counts in shared memory that it
// came there: a kill that never happened must fail its test.
//
//   KillCount kills;                                     // before the fork
//   start_child([&] { kill_at_step("queue.put.copied", kills); queue.put(1); return 0; });
//   ... EXPECT_EQ(kills.count(), 1u);
#pragma once

#include <atomic>
#include <csignal>
#include <cstring>
#include <string>

#include "common/mp/raw_shared.h"
#include "common/mp/step.h"

#ifndef FORKECHO_MP_STEPS
#error "steps exist in the crash/mp tests alone: link forkecho_test_support_with_steps"
#endif

namespace forkecho::tests {

/// How often a chosen step was reached, over all processes.
class KillCount {
 public:
  unsigned count() const { return count_->load(); }
  void add() const { count_->fetch_add(1); }

 private:
  mp::RawValue<std::atomic<unsigned>> count_;
};

namespace detail {

struct ChosenStep {
  std::string name;  // empty: every step counts
  unsigned left = 0;
  const KillCount* kills = nullptr;
};

inline ChosenStep& chosen_step() {
  static ChosenStep chosen;
  return chosen;
}

inline void kill_if_chosen(const char* step) {
  ChosenStep& chosen = chosen_step();
  if (!chosen.name.empty() && chosen.name != step) return;
  if (--chosen.left > 0) return;
  chosen.kills->add();
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

}  // namespace detail

/// In a child: SIGKILL to itself when it comes to `step` for the `occurrence`-th time (1 is the
/// first). An empty step stands for any: the `occurrence`-th of all.
inline void kill_at_step(const std::string& step, const KillCount& kills, unsigned occurrence = 1) {
  detail::chosen_step() = {step, occurrence, &kills};
  mp::step_observer = detail::kill_if_chosen;
}

}  // namespace forkecho::tests
