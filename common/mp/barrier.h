// Barrier: so many parties, threads of any process, wait until all of them are there. Where
// Python's hangs for ever when one that waits is killed, here the barrier breaks, and each of the
// others is told by BrokenBarrier.
//
// A party counts from the moment at which it comes in wait until it leaves it. One that is killed
// while it waits, or while it runs the action, breaks the barrier: the others learn of it within
// 2 * longest_sleep (futex.h). One that is killed once the parties were complete takes nothing from
// the rest. One that is killed before it comes simply does not come: give wait a deadline.
// A barrier once broken stays so until reset.
//
// Make it before the fork; all children share it. Safe between processes and threads, and against a
// kill at any instruction: either all parties of a round pass, or none.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>

#include "common/mp/futex.h"
#include "common/mp/holder_table.h"
#include "common/mp/raw_shared.h"
#include "common/mp/robust_mutex.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

/// A party was killed, its deadline passed, its action threw, or somebody called abort or reset.
class BrokenBarrier : public std::runtime_error {
 public:
  BrokenBarrier() : std::runtime_error("the barrier is broken") {}
};

class Barrier {
 public:
  /// For `parties` of 1 or more, else std::invalid_argument. `action`, if any, is called once in
  /// each round, by the last to come, before anyone passes. `timeout` is for waits without a
  /// deadline of their own.
  explicit Barrier(unsigned parties, std::function<void()> action = {},
                   sys::Duration timeout = sys::Duration::max());
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  /// Waits until all parties have come, and returns in what place the caller came: 0 to parties -
  /// 1, each once in a round. Throws BrokenBarrier when the barrier is broken, or breaks; a
  /// deadline that passes breaks it. What the action throws comes out of the wait of the party that
  /// ran it, and breaks it for the others. One that comes while the action runs waits for the next
  /// round.
  unsigned wait() { return wait(sys::Deadline::after(timeout_)); }
  unsigned wait(sys::Deadline deadline);

  /// Breaks it.
  void abort();
  /// Makes it as new; those who wait get BrokenBarrier.
  void reset();
  bool broken();
  unsigned parties() const { return parties_; }
  /// How many wait at this moment; 0 when it is broken.
  unsigned n_waiting();

 private:
  enum Outcome : std::uint32_t { arriving, waiting, passed, failed };
  struct Seat {
    std::atomic<Outcome> outcome;
    unsigned place;
  };
  /// `broken` and `complete` are each the one store that commits: seats that wait while one of them
  /// is set get that outcome from the next who takes the mutex, if its holder was killed.
  struct State {
    RobustMutex mutex;
    Word round;                  // changes when seats get their outcome; those who wait sleep on it
    std::atomic<bool> broken;    // until reset
    std::atomic<bool> complete;  // while the seats of a complete round are marked
    std::atomic<unsigned> arrived;  // seats that wait
  };
  class Section;

  bool take_seat(sys::Deadline deadline);
  bool try_to_sit();
  unsigned await_outcome(sys::Deadline deadline);
  Outcome my_outcome(sys::Deadline deadline);
  void run_action();
  void let_pass();
  void break_it();
  void mark_seats(Outcome outcome);
  void repair();
  void note_dead(const Seat& seat);
  void settle();

  const unsigned parties_;
  const std::function<void()> action_;
  const sys::Duration timeout_;
  RawValue<State> state_;
  HolderTable<Seat> seats_;
};

}  // namespace forkecho::mp
