// Event: a flag that processes wait for. Holds no lock, so that no death can leave it unusable, and
// set may be called in a signal handler.
//
// Make it before the fork; all children share it. Safe between processes and threads. A waiter sees
// a set even when a clear follows at once: every wait that had begun before the set ends with it. A
// setter that is killed before it wakes the waiters delays them by longest_sleep (futex.h) at most.
#pragma once

#include "common/mp/futex.h"
#include "common/mp/raw_shared.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Async-signal-safe.
  void set();
  /// Async-signal-safe.
  void clear();
  bool is_set() const;
  /// True once the event is set; false when the deadline passed first.
  bool wait(sys::Deadline deadline = sys::Deadline::never()) const;

 private:
  // The lowest bit is the flag; the others count how often it was set from clear. Read and written
  // sequentially consistent: what the setter wrote before is seen by whom the wait lets go.
  RawValue<Word> word_;
};

}  // namespace forkecho::mp
