// StoppedProcesses: acceptors and workers that somebody has stopped (SIGSTOP) and that nobody sets
// going again. One that has gone wrong can stop itself, or its process group, which in fork mode is
// its acceptor's; without the system-call filter nothing forbids it. The supervisor is told by the
// kernel, waits a while, for it may be a person with a debugger, and sends SIGCONT to the group.
//
// The supervisor's own; not for threads.
#pragma once

#include <chrono>
#include <vector>

#include "common/sys/deadline.h"

namespace forkecho::server {

class StoppedProcesses {
 public:
  /// How long a process may be stopped.
  static constexpr auto patience = std::chrono::seconds(5);

  /// Call on every tick.
  void look(sys::Clock::time_point now);

 private:
  struct Stopped {
    pid_t pid;
    sys::Clock::time_point since;
  };
  std::vector<Stopped> stopped_;
};

}  // namespace forkecho::server
