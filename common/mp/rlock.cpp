#include "common/mp/rlock.h"

#include <stdexcept>

namespace forkecho::mp {

void RLock::release_inner() {
  if (!held_by_caller()) throw std::logic_error("release of a lock that the caller does not hold");
  set_levels(levels() - 1);
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
