// RLock: a Lock that the thread which holds it may acquire again; it is free once it was released
// as often. When its holder is killed, the next acquire returns owner_died, and the caller holds
// it, at the first level.
//
// Make it before the fork; all children share it. Safe between processes and threads; a forked
// child does not share its parent's holding. A holder that destroys the object releases it; while
// another thread of the process holds it, it must not be destroyed.
#pragma once

#include <atomic>

#include "common/mp/raw_shared.h"
#include "common/mp/robust_mutex.h"
#include "common/mp/step.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

class RLock {
 public:
  RLock() = default;
  RLock(const RLock&) = delete;
  RLock& operator=(const RLock&) = delete;
  // A release that fails is a bug, and the end of the program.
  ~RLock() { state_->mutex.unlock_before_unmapping(); }  // NOLINT(bugprone-exception-escape)

  /// The caller holds the lock, one level deeper than before, unless the answer is timed_out.
  /// owner_died is said at the first level only.
  Acquired acquire(sys::Deadline deadline = sys::Deadline::never()) {
    const auto acquired = state_->mutex.lock_unless_held(deadline);
    if (!acquired) {
      set_levels(levels() + 1);
    } else if (*acquired != Acquired::timed_out) {
      FORKECHO_MP_STEP("rlock.acquire.locked");
      set_levels(1);
    }
    return acquired.value_or(Acquired::yes);
  }

  /// Gives up one level. std::logic_error when the calling thread does not hold it.
  void release() {
    // Whoever does not hold it reads a figure of no meaning here, and is refused either way.
    if (levels() > 1) return release_inner();
    state_->mutex.unlock();
  }

  /// Whether the calling thread holds it.
  bool held_by_caller() const { return state_->mutex.held_by_caller(); }
  /// Whether its holder died, and nobody was told yet.
  bool is_orphaned() const { return state_->mutex.is_orphaned(); }

  /// For Condition: gives up all levels, and returns how many there were. std::logic_error when the
  /// calling thread does not hold it.
  unsigned release_all();
  /// As acquire without a deadline, to that many levels at once.
  Acquired acquire_levels(unsigned count);

  /// For Value and Array, by the holder: a holder's death that was told to a call which could not
  /// pass it on is kept for the next that can.
  void keep_news_of_death() { state_->untold_death.store(true, std::memory_order_relaxed); }
  bool take_news_of_death() {
    const bool died = state_->untold_death.load(std::memory_order_relaxed);
    if (died) state_->untold_death.store(false, std::memory_order_relaxed);
    return died;
  }

 private:
  // Only the holder writes the levels, and the first acquire sets them whatever the last holder
  // left: a death between the two stores needs no repair.
  struct State {
    RobustMutex mutex;
    std::atomic<unsigned> levels;
    std::atomic<bool> untold_death;
  };

  unsigned levels() const { return state_->levels.load(std::memory_order_relaxed); }
  void set_levels(unsigned count) { state_->levels.store(count, std::memory_order_relaxed); }
  void release_inner();

  RawValue<State> state_;
};

}  // namespace forkecho::mp
