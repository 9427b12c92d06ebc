// Lock: mutual exclusion between processes that survives the death of its holder: a robust
// process-shared mutex. Where Python's Lock hangs for ever when its holder is killed, the next
// acquire here returns owner_died, and the caller holds the lock.
//
// Make it before the fork; all children share it. Safe between processes and threads. Not
// recursive: a second acquire by the holder throws std::system_error (EDEADLK).
#pragma once

#include <pthread.h>

#include "common/mp/raw_shared.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

enum class Acquired {
  yes,
  owner_died,  // yes, and the last holder was killed while it held: what it guarded may be
               // half-done
  timed_out,   // no
};

class Lock {
 public:
  Lock();
  Acquired acquire(sys::Deadline deadline = sys::Deadline::never());
  /// Throws std::system_error (EPERM) when the caller does not hold it.
  void release();

 private:
  RawValue<pthread_mutex_t> mutex_;
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
