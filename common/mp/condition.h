// Condition: threads of any process wait, under a lock, until another says that something changed.
//
//   LockGuard guard(condition);                  the waiter       LockGuard guard(condition);
//   condition.wait_for([&] { return ready(); });                  make_ready();
//                                                the notifier     condition.notify();
//
// notify(n) reaches exactly n of the threads that wait, or all when they are fewer; those that wait
// longest come first. Threads that were killed while they waited are passed over. A notification
// whose receiver is killed before its wait returned goes to another that waited already at the time
// (within 2 * longest_sleep, futex.h), so that none is lost; when the receiver had the lock back,
// the next holder of the lock is told of the death, too. A notifier that is killed has notified so
// many as it came to; those whose wake-up it did not send wake within longest_sleep.
//
// Make it, and the lock, before the fork; all children share it. The lock must outlive it. Safe
// between processes and threads, and against a kill at any instruction.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <variant>
#include <vector>

#include "common/mp/futex.h"
#include "common/mp/holder_table.h"
#include "common/mp/lock.h"
#include "common/mp/raw_shared.h"
#include "common/mp/rlock.h"
#include "common/mp/robust_mutex.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

/// How a wait ended; by itself it is true when it was notified (wait), or when the predicate held
/// (wait_for), and false when the deadline passed first.
struct Waited {
  bool done = false;
  /// A holder of the lock was killed while it held it: what the lock guards may be half-done. Ends
  /// a wait by itself.
  bool owner_died = false;
  operator bool() const { return done; }  // NOLINT(google-explicit-constructor): reads as Python's
};

class Condition {
 public:
  /// With an RLock of its own.
  Condition();
  explicit Condition(Lock& lock);
  explicit Condition(RLock& lock);
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  /// Those of the lock.
  Acquired acquire(sys::Deadline deadline = sys::Deadline::never());
  void release();

  /// Gives the lock up, every level of an RLock, sleeps until it is notified or the deadline has
  /// passed, and takes the lock again to as many levels, which has no deadline. Throws
  /// std::logic_error when the caller does not hold the lock, std::length_error when more threads
  /// wait than HolderTable has room for; either before anything has changed.
  Waited wait(sys::Deadline deadline = sys::Deadline::never());
  /// Waits again and again until predicate(), called under the lock, is true, or the deadline has
  /// passed.
  template <typename Predicate>
  Waited wait_for(Predicate predicate, sys::Deadline deadline = sys::Deadline::never());

  /// Ends the wait of `n` threads. They go on when the caller has given up the lock.
  /// std::logic_error when the caller does not hold it.
  void notify(unsigned n = 1);
  void notify_all() { notify(std::numeric_limits<unsigned>::max()); }

 private:
  enum Stage : std::uint32_t { entering, waiting, notified };
  struct Waiter {
    Word stage;             // the waiter sleeps on it
    std::uint64_t ticket;   // in the order of their coming, from 1
    std::uint64_t horizon;  // notified: the tickets that were given out at that time
    std::uint64_t note;     // notified: the ticket of whom the notification was meant for at first
  };
  struct State {
    RobustMutex mutex;                   // taken under the user's lock or without it
    std::atomic<std::uint64_t> tickets;  // given out so far
  };
  class Section;

  template <typename Act>
  auto with_lock(Act act);
  void check_holds_lock();
  Waiter& register_caller();
  void sleep_until_notified(const Waiter& mine, sys::Deadline deadline);
  Acquired retake(unsigned levels);
  void notify_waiting(std::size_t n);
  bool leave();
  void settle();
  void hand_on(const Waiter& dead);
  std::vector<Waiter*> longest_waiting(std::size_t n, std::uint64_t horizon);
  static void mark_notified(Waiter& waiter, std::uint64_t horizon, std::uint64_t note);

  std::optional<RLock> own_lock_;
  std::variant<Lock*, RLock*> lock_;
  RawValue<State> state_;
  HolderTable<Waiter> waiters_;
};

template <typename Predicate>
Waited Condition::wait_for(Predicate predicate, sys::Deadline deadline) {
  check_holds_lock();
  Waited result;
  while (!(result.done = predicate()) && !deadline.passed())
    result.owner_died |= wait(deadline).owner_died;
  return result;
}

}  // namespace forkecho::mp
