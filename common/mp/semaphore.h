// Semaphore and BoundedSemaphore: so many permits, acquired and released by processes and threads.
// Where Python's lose the permits of a process that is killed, these give them back.
//
// The ledger. Each thread has an account of the permits that it acquired and did not release; when
// it ends, killed or not, what stands there goes back to the semaphore (OnDeath::give_back). A
// release is entered in the account of the thread that calls it. One by a thread whose account is
// empty (signalling: one thread releases what others acquire) adds a permit to a Semaphore, and
// takes none from anybody's account: whoever acquires the signals is then credited with them at its
// death. So a semaphore used for signalling, or whose permits are handed from thread to thread, is
// made with OnDeath::keep, which keeps no accounts: what a dead thread had acquired stays acquired.
// A BoundedSemaphore never has more permits than it began with: a release by a thread with an empty
// account is entered in another's, and when none is out it is refused.
//
// Make it before the fork; all children share it. Safe between processes and threads, and against a
// kill at any instruction: no permit is lost or made. A waiter sees a dead holder's permits at once
// when it comes, and within longest_sleep (futex.h) when it sleeps already. Waiters are served in
// no particular order.
#pragma once

#include <cstdint>
#include <optional>

#include "common/mp/futex.h"
#include "common/mp/holder_table.h"
#include "common/mp/raw_shared.h"
#include "common/mp/robust_mutex.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

/// What becomes of the permits that a thread held when it ended.
enum class OnDeath { give_back, keep };

class Semaphore {
 public:
  /// Begins with `permits`, 0 to most_permits, else std::invalid_argument (a negative number
  /// arrives as one that is too large).
  explicit Semaphore(unsigned permits, OnDeath on_death = OnDeath::give_back);
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// Takes a permit; false when there was none before the deadline. A deadline that has passed
  /// already asks for one look, which takes longest_sleep where a process is stopped that looks at
  /// the same moment; then false, too. Throws std::length_error when more threads hold permits than
  /// HolderTable has room for.
  bool acquire(sys::Deadline deadline = sys::Deadline::never());
  /// Gives a permit back, or adds one (see above). Throws std::logic_error when that makes more
  /// than most_permits, or in a BoundedSemaphore more than it began with.
  void release();
  /// The permits that are free at this moment.
  unsigned get_value();

  static constexpr unsigned most_permits = 0x7fffffff;

 protected:
  enum class Bounded { no, yes };
  Semaphore(unsigned permits, OnDeath on_death, Bounded bounded);

 private:
  /// With accounts: free = made - the sum of all accounts; `free` itself is what the last caller
  /// worked out, and is worked out anew after one was killed. Without: `free` is the truth.
  struct State {
    RobustMutex mutex;
    Word released;  // changes with every permit that becomes free; waiters sleep on it
    std::atomic<std::uint32_t> sleepers;  // at least so many; the killed are never taken off
    std::atomic<std::uint64_t> made;      // permits in existence
    std::atomic<std::uint64_t> free;
  };
  struct Account {
    std::atomic<std::uint64_t> held;
  };
  class Section;

  bool try_take();
  void give_one();
  void check_room() const;
  void settle();
  void work_out_free();
  std::uint64_t held_by_all();
  Account* account_to_release_from();

  const std::optional<unsigned> bound_;
  RawValue<State> state_;
  std::optional<HolderTable<Account>> accounts_;  // empty: OnDeath::keep
};

class BoundedSemaphore : public Semaphore {
 public:
  explicit BoundedSemaphore(unsigned permits, OnDeath on_death = OnDeath::give_back)
      : Semaphore(permits, on_death, Bounded::yes) {}
};

}  // namespace forkecho::mp
