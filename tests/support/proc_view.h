// What /proc says of the processes of one session. A daemon that was started as the leader of a
// session has all its descendants in it, also those that were forked a moment ago and those whose
// parents are gone, so that none of them can hide.
//
// A snapshot of something that moves: a process may be gone before the caller looks at the result.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace forkecho::tests {

struct ProcessView {
  pid_t pid;
  pid_t parent;
  char state;               // as in ps: R, S, D, Z, ...
  std::uint64_t started;    // in ticks since boot: with the pid, it names a process for ever
  std::uint64_t cpu_ticks;  // user and system time used
  bool dead() const { return state == 'Z' || state == 'X'; }
};

/// All processes of `session`, zombies included.
std::vector<ProcessView> processes_of_session(pid_t session);
/// Those that are not dead and not the leader.
std::vector<ProcessView> living_below(pid_t leader);
/// Those below the leader whose parent is `parent`, and that are not dead.
std::vector<ProcessView> living_children(pid_t leader, pid_t parent);

}  // namespace forkecho::tests
