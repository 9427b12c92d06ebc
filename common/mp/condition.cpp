#include "common/mp/condition.h"

#include <algorithm>
#include <stdexcept>

#include "common/mp/step.h"

namespace forkecho::mp {

/// Holds the mutex. Where its last holder was killed, that one may have been handing on what
/// another dead thread had been sent: first of all this is done to its end.
class Condition::Section {
 public:
  explicit Section(Condition& condition) : guard_(condition.state_->mutex) {
    if (guard_.owner_died()) condition.settle();
  }

 private:
  RobustGuard guard_;
};

Condition::Condition() : lock_(&own_lock_.emplace()) {}
Condition::Condition(Lock& lock) : lock_(&lock) {}
Condition::Condition(RLock& lock) : lock_(&lock) {}

template <typename Act>
auto Condition::with_lock(Act act) {
  return std::visit([&](auto* lock) { return act(*lock); }, lock_);
}

Acquired Condition::acquire(sys::Deadline deadline) {
  return with_lock([&](auto& lock) { return lock.acquire(deadline); });
}

void Condition::release() {
  with_lock([](auto& lock) { lock.release(); });
}

void Condition::check_holds_lock() {
  if (!with_lock([](auto& lock) { return lock.held_by_caller(); }))
    throw std::logic_error("wait or notify without holding the condition's lock");
}

Waited Condition::wait(sys::Deadline deadline) {
  check_holds_lock();
  const Waiter& mine = register_caller();
  FORKECHO_MP_STEP("condition.wait.registered");
  Acquired retaken = Acquired::yes;
  do {
    const unsigned levels = with_lock([](auto& lock) { return lock.release_all(); });
    FORKECHO_MP_STEP("condition.wait.released");
    sleep_until_notified(mine, deadline);
    FORKECHO_MP_STEP("condition.wait.woken");
    retaken = retake(levels);
  } while (mine.stage != notified && retaken != Acquired::owner_died && !deadline.passed());
  return {.done = leave(), .owner_died = retaken == Acquired::owner_died};
}

Acquired Condition::retake(unsigned levels) {
  const Acquired retaken = with_lock([&](auto& lock) { return lock.acquire_levels(levels); });
  FORKECHO_MP_STEP("condition.wait.retaken");
  if (retaken == Acquired::owner_died) {
    const Section section(*this);
    notify_waiting(waiters_.rows_in_use());
  }
  return retaken;
}

Condition::Waiter& Condition::register_caller() {
  const Section section(*this);
  Waiter& mine = waiters_.mine([&](const Waiter& dead) { hand_on(dead); });
  mine.ticket = state_->tickets.load() + 1;
  state_->tickets.store(mine.ticket, std::memory_order_release);
  FORKECHO_MP_STEP("condition.wait.entering");
  mine.stage.store(waiting, std::memory_order_release);
  return mine;
}

void Condition::sleep_until_notified(const Waiter& mine, sys::Deadline deadline) {
  const auto lock_is_orphaned = [&] {
    return with_lock([](auto& lock) { return lock.is_orphaned(); });
  };
  while (mine.stage != notified && !deadline.passed() && !lock_is_orphaned()) {
    sleep_on_word(mine.stage, waiting, deadline);
    FORKECHO_MP_STEP("condition.wait.looking");
    const Section section(*this);
    waiters_.settle_dead_seldom([&](const Waiter& dead) { hand_on(dead); });
  }
}

/// True when the caller was notified, be it at the last moment: nobody can be while it holds the
/// lock. Until here it counts as one that waits, whose notification is handed on when it is killed.
bool Condition::leave() {
  const Section section(*this);
  const Waiter* const mine = waiters_.find_mine();
  const bool was_notified = mine->stage.load() == notified;
  waiters_.drop_mine();
  return was_notified;
}

void Condition::notify(unsigned n) {
  check_holds_lock();
  const Section section(*this);
  notify_waiting(n);
}

void Condition::notify_waiting(std::size_t n) {
  settle();
  const std::uint64_t horizon = state_->tickets.load();
  for (Waiter* const next : longest_waiting(n, horizon)) {
    mark_notified(*next, horizon, next->ticket);
    FORKECHO_MP_STEP("condition.notify.marked");
    wake_word(next->stage);
  }
}

void Condition::settle() {
  waiters_.settle_dead([&](const Waiter& dead) { hand_on(dead); });
}

void Condition::hand_on(const Waiter& dead) {
  if (dead.stage != notified) return;
  bool is_with_another = false;  // from one who was killed before it had freed this row
  waiters_.for_each([&](const Waiter& other) {
    is_with_another |= &other != &dead && other.stage == notified && other.note == dead.note;
  });
  if (is_with_another) return;
  for (Waiter* const heir : longest_waiting(1, dead.horizon)) {
    mark_notified(*heir, dead.horizon, dead.note);
    FORKECHO_MP_STEP("condition.hand_on.marked");
    wake_word(heir->stage);
  }
}

/// The first `n` of those that live, wait, and came before the horizon.
std::vector<Condition::Waiter*> Condition::longest_waiting(std::size_t n, std::uint64_t horizon) {
  std::vector<Waiter*> all;
  waiters_.for_each_living([&](Waiter& other) {
    if (other.stage == waiting && other.ticket <= horizon) all.push_back(&other);
  });
  std::ranges::sort(all, {}, &Waiter::ticket);
  all.resize(std::min(n, all.size()));
  return all;
}

void Condition::mark_notified(Waiter& waiter, std::uint64_t horizon, std::uint64_t note) {
  waiter.horizon = horizon;
  waiter.note = note;
  waiter.stage.store(notified, std::memory_order_release);
}

}  // namespace forkecho::mp
