// Lock: mutual exclusion between processes that survives the death of its holder. Where Python's
// Lock hangs for ever when its holder is killed, the next acquire here returns owner_died, and the
// caller holds the lock.
//
// Make it before the fork; all children share it. Safe between processes and threads. Not
// recursive (RLock is), and only its holder can release it.
#pragma once

#include "common/mp/raw_shared.h"
#include "common/mp/robust_mutex.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

class Lock {
 public:
  /// The caller holds the lock unless the answer is timed_out. std::logic_error when the calling
  /// thread holds it already.
  Acquired acquire(sys::Deadline deadline = sys::Deadline::never()) {
    return mutex_->lock(deadline);
  }
  /// std::logic_error when the calling thread does not hold it.
  void release() { mutex_->unlock(); }

 private:
  RawValue<RobustMutex> mutex_;
};

/// Holds a Lock for a scope, without a deadline.
class LockGuard {
 public:
  explicit LockGuard(Lock& lock) : lock_(lock), acquired_(lock.acquire()) {}
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;
  // A release that fails is a bug, and the end of the program.
  ~LockGuard() { lock_.release(); }  // NOLINT(bugprone-exception-escape)
  bool owner_died() const { return acquired_ == Acquired::owner_died; }

 private:
  Lock& lock_;
  Acquired acquired_;
};

}  // namespace forkecho::mp
