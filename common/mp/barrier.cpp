#include "common/mp/barrier.h"

#include <utility>

#include "common/mp/step.h"

namespace forkecho::mp {

/// Holds the mutex, and puts right what a killed holder of it left.
class Barrier::Section {
 public:
  explicit Section(Barrier& barrier) : guard_(barrier.state_->mutex) {
    if (guard_.owner_died()) barrier.repair();
  }

 private:
  RobustGuard guard_;
};

Barrier::Barrier(unsigned parties, std::function<void()> action, sys::Duration timeout)
    : parties_(parties), action_(std::move(action)), timeout_(timeout) {
  if (parties == 0) throw std::invalid_argument("a barrier for no parties");
}

unsigned Barrier::wait(sys::Deadline deadline) {
  const bool is_last = take_seat(deadline);
  FORKECHO_MP_STEP("barrier.wait.seated");
  if (is_last && action_) run_action();
  return await_outcome(deadline);
}

/// Returns whether the caller completes the round.
bool Barrier::take_seat(sys::Deadline deadline) {
  for (;;) {
    std::uint32_t seen = 0;
    {
      const Section section(*this);
      settle();
      if (state_->broken) throw BrokenBarrier();
      if (try_to_sit()) {
        if (state_->arrived < parties_) return false;
        if (!action_) let_pass();
        return true;
      }
      if (deadline.passed()) {
        break_it();
        throw BrokenBarrier();
      }
      seen = state_->round.load();
    }
    sleep_on_word(state_->round, seen, deadline);
  }
}

/// False while the last round is complete and its action runs.
bool Barrier::try_to_sit() {
  if (state_->arrived == parties_) return false;
  Seat& mine = seats_.mine([&](const Seat& dead) { note_dead(dead); });
  mine.place = state_->arrived;
  FORKECHO_MP_STEP("barrier.wait.arriving");
  mine.outcome.store(waiting, std::memory_order_release);
  FORKECHO_MP_STEP("barrier.wait.arrived");
  state_->arrived.store(mine.place + 1, std::memory_order_release);
  return true;
}

void Barrier::run_action() {
  try {
    action_();
  } catch (...) {
    const Section section(*this);
    if (seats_.find_mine()->outcome == waiting) break_it();  // else the round is another already
    seats_.drop_mine();
    throw;
  }
  FORKECHO_MP_STEP("barrier.wait.acted");
  const Section section(*this);
  const Seat* const mine = seats_.find_mine();
  if (mine->outcome == waiting) let_pass();  // nobody has broken the round in the meantime
}

unsigned Barrier::await_outcome(sys::Deadline deadline) {
  for (;;) {
    std::uint32_t seen = 0;
    {
      const Section section(*this);
      const Outcome outcome = my_outcome(deadline);
      if (outcome != waiting) {
        const unsigned place = seats_.find_mine()->place;
        seats_.drop_mine();
        if (outcome == failed) throw BrokenBarrier();
        return place;
      }
      seen = state_->round.load();
    }
    FORKECHO_MP_STEP("barrier.wait.waiting");
    sleep_on_word(state_->round, seen, deadline);
    FORKECHO_MP_STEP("barrier.wait.woken");
  }
}

Barrier::Outcome Barrier::my_outcome(sys::Deadline deadline) {
  const Seat& mine = *seats_.find_mine();
  if (mine.outcome != waiting) return mine.outcome;
  seats_.settle_dead_seldom([&](const Seat& dead) { note_dead(dead); });
  if (mine.outcome == waiting && (state_->broken || deadline.passed())) break_it();
  return mine.outcome;
}

void Barrier::abort() {
  const Section section(*this);
  break_it();
}

void Barrier::reset() {
  const Section section(*this);
  break_it();
  FORKECHO_MP_STEP("barrier.reset.broken");
  state_->broken.store(false, std::memory_order_release);
}

bool Barrier::broken() {
  const Section section(*this);
  settle();
  return state_->broken;
}

unsigned Barrier::n_waiting() {
  const Section section(*this);
  settle();
  return state_->arrived;
}

void Barrier::let_pass() {
  state_->complete.store(true, std::memory_order_release);
  FORKECHO_MP_STEP("barrier.let_pass.committed");
  mark_seats(passed);
  state_->complete.store(false, std::memory_order_release);
}

void Barrier::break_it() {
  state_->broken.store(true, std::memory_order_release);
  FORKECHO_MP_STEP("barrier.break.committed");
  mark_seats(failed);
}

void Barrier::mark_seats(Outcome outcome) {
  seats_.for_each([&](Seat& seat) {
    if (seat.outcome == waiting) seat.outcome.store(outcome, std::memory_order_release);
    FORKECHO_MP_STEP("barrier.mark_seats.one");
  });
  state_->arrived.store(0, std::memory_order_release);
  state_->round.fetch_add(1);
  FORKECHO_MP_STEP("barrier.mark_seats.all");
  wake_word(state_->round);
}

void Barrier::repair() {
  if (state_->complete) {
    mark_seats(passed);
    state_->complete.store(false, std::memory_order_release);
  }
  if (state_->broken) mark_seats(failed);
  unsigned count = 0;
  seats_.for_each([&](const Seat& seat) { count += seat.outcome == waiting ? 1 : 0; });
  state_->arrived.store(count, std::memory_order_release);
}

/// A dead party that had its outcome already leaves nothing behind.
void Barrier::note_dead(const Seat& seat) {
  if (seat.outcome == waiting) break_it();
}

void Barrier::settle() {
  seats_.settle_dead([&](const Seat& dead) { note_dead(dead); });
}

}  // namespace forkecho::mp
