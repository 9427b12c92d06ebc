// Waiting for what no descriptor announces (a figure in shared memory, the state of a process in
// /proc): looked at again and again until it holds or the deadline has passed.
#pragma once

#include <poll.h>

#include "common/sys/deadline.h"

namespace forkecho::tests {

/// True once `predicate()` is; false when the deadline passed first. It is called at least once.
template <typename Predicate>
bool eventually(sys::Deadline deadline, Predicate predicate) {
  for (;;) {
    if (predicate()) return true;
    if (deadline.passed()) return false;
    poll(nullptr, 0, 1);
  }
}

}  // namespace forkecho::tests
