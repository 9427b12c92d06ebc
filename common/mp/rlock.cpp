#include "common/mp/rlock.h"

#include <stdexcept>

namespace forkecho::mp {

void RLock::release_inner() {
  // The mutex says whether it is the caller's when asked to lock it once more; cheaper than to ask
  // the kernel who the caller is.
  if (state_->mutex.is_held()) {
    const auto acquired = state_->mutex.lock_unless_held(sys::Deadline::immediately());
    if (!acquired) return set_levels(levels() - 1);
    if (*acquired == Acquired::owner_died) keep_news_of_death();
    if (*acquired != Acquired::timed_out) state_->mutex.unlock();
  }
  throw std::logic_error("release of a lock that the caller does not hold");
}

unsigned RLock::release_all() {
  const unsigned held = levels();
  state_->mutex.unlock();
  return held;
}

Acquired RLock::acquire_levels(unsigned count) {
  const Acquired acquired = acquire();
  set_levels(count);
  return acquired;
}

}  // namespace forkecho::mp
