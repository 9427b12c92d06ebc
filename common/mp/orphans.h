// Orphans: children whose parent has ended. As a rule process 1 adopts and reaps them; a process
// that calls adopt_orphans (a sub-reaper, prctl(2)) adopts those among its own descendants, and
// must reap them itself, or they stay as zombies until it ends.
#pragma once

#include <vector>

#include "common/mp/reap.h"

namespace forkecho::mp {

/// From now on, or no longer. Of the calling process: children do not inherit it.
void adopt_orphans(bool adopt = true);

/// Reaps every child that has ended, without waiting, and gives the exits of those that no Process
/// owns: the adopted ones, and children of a bare fork_process, whose exit the caller is to look
/// for here. Exits of Processes are delivered to them. Safe between threads.
std::vector<Exit> reap_orphans();

}  // namespace forkecho::mp
