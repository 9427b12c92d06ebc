// ClosingDoors: listeners that admit nobody new any more, until those who wait there have been
// accepted; then they are shut for good. The supervisor closes its own so when it drains, and
// those that a daemon which replaced it does not want.
//
// Nobody is lost: somebody else must go on accepting until empty() is true. Not for threads; the
// listeners must outlive it.
#pragma once

#include <span>
#include <vector>

#include "common/sys/deadline.h"
#include "server/listener.h"

namespace forkecho::server {

class ClosingDoors {
 public:
  /// So long must nobody have waited: time for handshakes that were under way to be finished by
  /// clients with a long round trip.
  static constexpr auto patience = std::chrono::milliseconds(200);

  /// Begins to close one; see Listener::begin_drain.
  void close(const Listener& listener, sys::Clock::time_point now);
  /// Shuts all once nobody has waited at any of them for `patience`. Call it often.
  void watch(sys::Clock::time_point now);
  /// None is left to be shut.
  bool empty() const { return doors_.empty(); }

 private:
  std::vector<const Listener*> doors_;
  sys::Clock::time_point last_waiting_{};
};

}  // namespace forkecho::server
