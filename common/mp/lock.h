// Lock: mutual exclusion between processes that survives the death of its holder. Where Python's
// Lock hangs for ever when its holder is killed, the next acquire here returns owner_died, and the
// caller holds the lock.
//
// Make it before the fork; all children share it. Safe between processes and threads. Not
// recursive (RLock is), and only the thread that holds it can release it. A holder that destroys
// the object releases it; while another thread of the process holds it, it must not be destroyed.
#pragma once

#include "common/mp/raw_shared.h"
#include "common/mp/robust_mutex.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

class Lock {
 public:
  Lock() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  // A release that fails is a bug, and the end of the program.
  ~Lock() { mutex_->unlock_before_unmapping(); }  // NOLINT(bugprone-exception-escape)

  /// The caller holds the lock unless the answer is timed_out. std::logic_error when the calling
  /// thread holds it already.
  Acquired acquire(sys::Deadline deadline = sys::Deadline::never()) {
    return mutex_->lock(deadline);
  }
  /// std::logic_error when the calling thread does not hold it.
  void release() { mutex_->unlock(); }
  /// Whether the calling thread holds it.
  bool held_by_caller() const { return mutex_->held_by_caller(); }
  /// Whether its holder died, and nobody was told yet.
  bool is_orphaned() const { return mutex_->is_orphaned(); }

  /// For Condition, which gives up every level that its caller holds, here always 1, and takes as
  /// many again.
  unsigned release_all() {
    release();
    return 1;
  }
  Acquired acquire_levels(unsigned) { return acquire(); }

 private:
  RawValue<RobustMutex> mutex_;
};

/// Holds a Lock, an RLock or a Condition for a scope, without a deadline.
template <typename Lockable>
class LockGuard {
 public:
  explicit LockGuard(Lockable& lock) : lock_(lock), acquired_(lock.acquire()) {}
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;
  // A release that fails is a bug, and the end of the program.
  ~LockGuard() { lock_.release(); }  // NOLINT(bugprone-exception-escape)
  bool owner_died() const { return acquired_ == Acquired::owner_died; }

 private:
  Lockable& lock_;
  Acquired acquired_;
};

}  // namespace forkecho::mp
