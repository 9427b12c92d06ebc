#include "common/mp/semaphore.h"

#include <stdexcept>
#include <string>

#include "common/mp/step.h"

namespace forkecho::mp {
namespace {

unsigned checked(unsigned permits) {
  if (permits > Semaphore::most_permits)
    throw std::invalid_argument("a semaphore begins with 0 to " +
                                std::to_string(Semaphore::most_permits) + " permits");
  return permits;
}

void set(std::atomic<std::uint64_t>& figure, std::uint64_t value) {
  figure.store(value, std::memory_order_release);
}

}  // namespace

/// Holds the mutex, and puts right what a killed holder of it left.
class Semaphore::Section {
 public:
  explicit Section(Semaphore& semaphore) : guard_(semaphore.state_->mutex) {
    if (guard_.owner_died()) semaphore.work_out_free();
  }
  /// Holds it unless timed_out(): when its holder is stopped.
  Section(Semaphore& semaphore, sys::Deadline deadline)
      : guard_(semaphore.state_->mutex, deadline) {
    if (guard_.owner_died()) semaphore.work_out_free();
  }
  bool timed_out() const { return guard_.timed_out(); }

 private:
  RobustGuard guard_;
};

Semaphore::Semaphore(unsigned permits, OnDeath on_death)
    : Semaphore(permits, on_death, Bounded::no) {}

Semaphore::Semaphore(unsigned permits, OnDeath on_death, Bounded bounded)
    : bound_(bounded == Bounded::yes ? std::optional(checked(permits)) : std::nullopt) {
  set(state_->made, checked(permits));
  set(state_->free, permits);
  if (on_death == OnDeath::give_back) accounts_.emplace();
}

bool Semaphore::acquire(sys::Deadline deadline) {
  for (;;) {
    std::uint32_t seen = 0;
    {
      const Section section(*this, deadline);
      if (section.timed_out()) return false;
      if (try_take()) return true;
      if (deadline.passed()) return false;
      seen = state_->released.load();
      state_->sleepers.fetch_add(1);
    }
    FORKECHO_MP_STEP("semaphore.acquire.waiting");
    sleep_on_word(state_->released, seen, deadline);
    FORKECHO_MP_STEP("semaphore.acquire.woken");
    state_->sleepers.fetch_sub(1);
  }
}

void Semaphore::release() {
  bool someone_sleeps = false;
  {
    const Section section(*this);
    check_room();
    give_one();
    state_->released.fetch_add(1);
    someone_sleeps = state_->sleepers.load() > 0;
  }
  FORKECHO_MP_STEP("semaphore.release.given");
  if (someone_sleeps) wake_word(state_->released, 1);
}

unsigned Semaphore::get_value() {
  const Section section(*this);
  settle();
  return static_cast<unsigned>(state_->free.load());
}

bool Semaphore::try_take() {
  if (state_->free == 0) settle();
  if (state_->free == 0) return false;
  if (accounts_) {
    bool settled = false;
    Account& mine = accounts_->mine([&](Account&) { settled = true; });
    if (settled) work_out_free();
    set(mine.held, mine.held + 1);
  }
  FORKECHO_MP_STEP("semaphore.acquire.accounted");
  set(state_->free, state_->free - 1);
  FORKECHO_MP_STEP("semaphore.acquire.taken");
  return true;
}

void Semaphore::check_room() const {
  if (bound_ && state_->free >= *bound_)
    throw std::logic_error("release of a bounded semaphore of which no permit is out");
  if (state_->free >= most_permits)
    throw std::logic_error("more than " + std::to_string(most_permits) +
                           " permits of one semaphore");
}

/// The account of the caller; in a bounded semaphore another's when that is empty.
Semaphore::Account* Semaphore::account_to_release_from() {
  Account* from = accounts_->find_mine();
  if (from != nullptr && from->held == 0) from = nullptr;
  if (from == nullptr && bound_) {
    accounts_->for_each([&](Account& other) {
      if (other.held > 0) from = &other;
    });
  }
  return from;
}

void Semaphore::give_one() {
  if (accounts_) {
    Account* const from = account_to_release_from();
    if (from != nullptr) {
      set(from->held, from->held - 1);
    } else {
      set(state_->made, state_->made + 1);
    }
  }
  FORKECHO_MP_STEP("semaphore.release.accounted");
  set(state_->free, state_->free + 1);
  if (!accounts_) return;
  const Account* const mine = accounts_->find_mine();
  if (mine != nullptr && mine->held == 0) accounts_->drop_mine();
}

/// Gives the permits of the dead back: with its row, an account leaves the sum.
void Semaphore::settle() {
  if (!accounts_) return;
  bool found = false;
  accounts_->settle_dead([&](Account&) { found = true; });
  if (!found) return;
  work_out_free();
  state_->released.fetch_add(1);
  wake_word(state_->released);  // there may be permits for more than the caller
}

std::uint64_t Semaphore::held_by_all() {
  std::uint64_t sum = 0;
  accounts_->for_each([&](Account& account) { sum += account.held; });
  return sum;
}

void Semaphore::work_out_free() {
  if (accounts_) set(state_->free, state_->made - held_by_all());
}

}  // namespace forkecho::mp
