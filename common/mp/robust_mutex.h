// RobustMutex: a pthread mutex to be placed in shared memory, whose holder may be killed: the kernel
// hands it to the next who asks, and tells. Everything in mp that excludes, or that must know whether
// a holder lives, stands on it; the kernel's word is exact where a process id may be used again.
//
// The holder is a thread: one that ends while it holds counts as died. Safe between processes and
// threads. Not recursive.
#pragma once

#include <pthread.h>

#include "common/sys/deadline.h"

namespace forkecho::mp {

enum class Acquired {
  yes,
  owner_died,  // yes, and the last holder was killed while it held: what it guarded may be
               // half-done
  timed_out,   // no
};

class RobustMutex {
 public:
  /// To be constructed in shared memory, by one process. Throws std::system_error.
  RobustMutex();
  RobustMutex(const RobustMutex&) = delete;
  RobustMutex& operator=(const RobustMutex&) = delete;

  /// The caller holds it unless the answer is timed_out. Throws std::logic_error when the calling
  /// thread holds it already.
  Acquired lock(sys::Deadline deadline = sys::Deadline::never());
  /// As lock, at once: timed_out when another holds it.
  Acquired try_lock();
  /// Throws std::logic_error when the calling thread does not hold it.
  void unlock();
  /// Whether the calling thread holds it.
  bool held_by_caller() const;

 private:
  Acquired after(int error);
  pthread_mutex_t mutex_;
};

/// Holds a RobustMutex for a scope, without a deadline.
class RobustGuard {
 public:
  explicit RobustGuard(RobustMutex& mutex) : mutex_(mutex), acquired_(mutex.lock()) {}
  RobustGuard(const RobustGuard&) = delete;
  RobustGuard& operator=(const RobustGuard&) = delete;
  // A release that fails is a bug, and the end of the program.
  ~RobustGuard() { mutex_.unlock(); }  // NOLINT(bugprone-exception-escape)
  bool owner_died() const { return acquired_ == Acquired::owner_died; }

 private:
  RobustMutex& mutex_;
  Acquired acquired_;
};

}  // namespace forkecho::mp
