// RobustMutex: a pthread mutex to be placed in shared memory, whose holder may be killed: the
// kernel hands it to the next who asks, and tells. Everything in mp that excludes stands on it, and
// so does what must know whether a thread lives (thread_id.h): the kernel's word is exact where a
// process id may be used again.
//
// The holder is a thread: one that ends while it holds counts as died. Safe between processes and
// threads of one pid namespace. Not recursive.
//
// A thread holds at most most_held_by_a_thread of them: at a thread's death the kernel follows the
// list of what it held for 2,048 steps (ROBUST_LIST_LIMIT in linux/futex.h), and what comes after,
// the oldest, would stay locked for ever.
//
// The kernel finds what a dead thread held through a list that leads through the mutexes
// themselves. So a thread must not unmap a mutex that it holds: the list would end there, and what
// else it holds would never be handed on. Whoever owns the memory calls unlock_before_unmapping
// first; threads that hold one while another thread of their process unmaps it are a bug of the
// program.
#pragma once

#include <pthread.h>

#include <cerrno>
#include <optional>

#include "common/sys/deadline.h"

namespace forkecho::mp {

enum class Acquired {
  yes,
  owner_died,  // yes, and the last holder was killed while it held: what it guarded may be
               // half-done
  timed_out,   // no
};

namespace detail {
/// How many the calling thread holds.
inline constinit thread_local unsigned robust_mutexes_held = 0;
/// In a child just forked: they are its parent's.
inline void forget_robust_mutexes_held() {
  if (robust_mutexes_held != 0) robust_mutexes_held = 0;
}
}  // namespace detail

class RobustMutex {
 public:
  static constexpr unsigned most_held_by_a_thread = 2000;

  /// To be constructed in shared memory, by one process. Throws std::system_error.
  RobustMutex();
  RobustMutex(const RobustMutex&) = delete;
  RobustMutex& operator=(const RobustMutex&) = delete;

  /// The caller holds it unless the answer is timed_out. Throws std::logic_error when the calling
  /// thread holds it already, std::length_error when it holds most_held_by_a_thread.
  Acquired lock(sys::Deadline deadline = sys::Deadline::never()) {
    const int error = try_once();
    return error == 0 ? Acquired::yes : meaning_of(keep_trying(error, deadline));
  }
  /// As lock; empty, and nothing changed, when the calling thread holds it already.
  std::optional<Acquired> lock_unless_held(sys::Deadline deadline) {
    const int error = try_once();
    if (error == 0) return Acquired::yes;
    if (error == EDEADLK) return std::nullopt;
    return meaning_of(keep_trying(error, deadline));
  }
  /// As lock, at once: timed_out when another holds it.
  Acquired try_lock() {
    const int error = try_once();
    return error == 0 ? Acquired::yes : meaning_of(error);
  }
  /// As lock, for a mutex that nobody holds but for moments: waits for longest_sleep (futex.h) even
  /// if the deadline has passed before. timed_out tells of a holder that is stopped.
  Acquired lock_in_turn(sys::Deadline deadline) {
    const int error = try_once();
    return error == 0 ? Acquired::yes : meaning_of(keep_trying(error, turn_deadline(deadline)));
  }
  /// Throws std::logic_error when the calling thread does not hold it.
  void unlock() {
    if (const int error = pthread_mutex_unlock(&mutex_); error != 0) refuse_unlock(error);
    --detail::robust_mutexes_held;
  }
  /// Releases it if the calling thread holds it: before the memory in which it lies is unmapped.
  void unlock_before_unmapping();

  /// Whether the calling thread holds it.
  bool held_by_caller() const;
  /// Whether a thread that lives holds it; of the moment, unless it is the caller.
  bool is_held() const { return holder() != 0; }
  /// Whether its holder died, and nobody was told yet; of the moment.
  bool is_orphaned() const;

 private:
  int try_once() {
    if (detail::robust_mutexes_held >= most_held_by_a_thread) refuse_another();
    const int error = pthread_mutex_trylock(&mutex_);
    if (error == 0) ++detail::robust_mutexes_held;
    return error;
  }
  [[noreturn]] static void refuse_another();
  static sys::Deadline turn_deadline(sys::Deadline deadline);
  int keep_trying(int error, sys::Deadline deadline);
  Acquired meaning_of(int error);
  [[noreturn]] static void refuse_unlock(int error);
  unsigned word() const;
  unsigned holder() const;
  pthread_mutex_t mutex_;
};

/// Holds a RobustMutex for a scope.
class RobustGuard {
 public:
  explicit RobustGuard(RobustMutex& mutex) : mutex_(mutex), acquired_(mutex.lock()) {}
  /// By lock_in_turn: holds it unless timed_out().
  RobustGuard(RobustMutex& mutex, sys::Deadline deadline)
      : mutex_(mutex), acquired_(mutex.lock_in_turn(deadline)) {}
  RobustGuard(const RobustGuard&) = delete;
  RobustGuard& operator=(const RobustGuard&) = delete;
  // A release that fails is a bug, and the end of the program.
  ~RobustGuard() {  // NOLINT(bugprone-exception-escape)
    if (!timed_out()) mutex_.unlock();
  }
  bool timed_out() const { return acquired_ == Acquired::timed_out; }
  bool owner_died() const { return acquired_ == Acquired::owner_died; }

 private:
  RobustMutex& mutex_;
  Acquired acquired_;
};

}  // namespace forkecho::mp
