// AcceptAlarm: ends an accept that waits, where the listener blocks and somebody else may have been
// quicker than we are.
//
// The acceptor's, of single-use workers: its listener waits in accept, as they shall; it accepts
// only when somebody waits there, and he may be gone by then. Of one process, since it has one
// timer (ITIMER_REAL); not for threads.
#pragma once

#include <chrono>

namespace forkecho::server {

/// From now on SIGALRM, alone of all signals, is heard here, and does nothing but to end a call
/// that waits. Throws std::system_error.
void hear_alarms();

/// For a scope: calls that wait in it end after `patience`, interrupted (EINTR), if hear_alarms()
/// came before.
class AcceptAlarm {
 public:
  /// What an accept may take that somebody else was quicker than.
  static constexpr auto patience = std::chrono::milliseconds(10);

  AcceptAlarm();
  AcceptAlarm(const AcceptAlarm&) = delete;
  AcceptAlarm& operator=(const AcceptAlarm&) = delete;
  ~AcceptAlarm();
};

}  // namespace forkecho::server
