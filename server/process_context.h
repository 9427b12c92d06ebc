// What an acceptor or a worker is given when the supervisor forks it, and how it settles in.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "common/mp/connection.h"
#include "common/mp/lock.h"
#include "common/mp/raw_shared.h"
#include "server/elders.h"
#include "server/listener.h"
#include "server/options.h"
#include "server/scoreboard.h"

namespace forkecho::server {

/// Everything is shared with or inherited from the supervisor; nothing here is owned.
struct ProcessContext {
  const Options& options;
  std::span<const Listener> listeners;
  mp::RawArray<ProcessPage>& pages;
  std::size_t page_index;  // of `pages`: the one that this process writes
  unsigned peers;          // processes of the same kind that share the limits, this one included
  pid_t supervisor;
  mp::Lock* accept_lock = nullptr;    // a worker's, with --accept lock
  mp::Connection* passing = nullptr;  // with --accept passing: the end of the pipe that it uses
  Elders elders = {};                 // the pages of older generations that still serve
  int grown = 0;                      // workers to keep ahead beyond --pool-min-spare (TTIN, TTOU)

  ProcessPage& page() const { return pages[page_index]; }
};

/// First thing in an acceptor or a worker, all signals blocked: no handler of the supervisor's, a
/// process group of its own (so that a terminal's interrupt reaches the supervisor alone, and
/// orphans can be told by their group), death with the supervisor, a title, no descriptors but the
/// standard ones, the log and the listeners, and no write access to the pages of others.
void settle_in(const ProcessContext& context, std::string_view title);

/// Exit codes of acceptors and workers.
inline constexpr int planned_end = 0;    // a full life, retired, or drained
inline constexpr int setup_failed = 71;  // could not settle in
inline constexpr int lock_broken = 72;   // a worker's: the accept lock is no lock any more
/// For the log: "ended with exit code 71", "was ended by signal 9". `exitcode` is Python's.
std::string describe_end(int exitcode);

}  // namespace forkecho::server
