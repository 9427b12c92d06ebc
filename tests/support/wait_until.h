// For what a test can only ask for, not be told of.
#pragma once

#include <poll.h>

#include <chrono>

#include "tests/support/child.h"

namespace forkecho::tests {

/// Asks `condition` every few milliseconds; true once it holds, false when the deadline passed.
template <typename Condition>
bool wait_until(Condition condition, sys::Deadline deadline = patience()) {
  for (;;) {
    if (condition()) return true;
    if (deadline.passed()) return false;
    poll(nullptr, 0, 5);
  }
}

}  // namespace forkecho::tests
