// What an acceptor or a worker is given when the supervisor forks it, and how it settles in.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/mp/connection.h"
#include "common/mp/lock.h"
#include "common/mp/raw_shared.h"
#include "server/confinement.h"
#include "server/elders.h"
#include "server/listener.h"
#include "server/options.h"
#include "server/scoreboard.h"

namespace forkecho::server {

/// Everything is shared with or inherited from the supervisor; nothing here is owned.
struct ProcessContext {
  const Options& options;
  std::span<const Listener> listeners;
  GenerationPages& pages;
  std::size_t page_index;  // of `pages`: the one that this process writes
  unsigned peers;          // processes of the same kind that share the limits, this one included
  pid_t supervisor;
  mp::Lock* accept_lock = nullptr;    // a worker's, with --accept lock
  mp::Connection* passing = nullptr;  // with --accept passing: the end of the pipe that it uses
  Elders elders = {};                 // the pages of older generations that still serve
  int grown = 0;                      // workers to keep ahead beyond --pool-min-spare (TTIN, TTOU)
  const Confinement* confinement = nullptr;  // none: as the supervisor

  ProcessPage& page() const { return pages[page_index]; }
};

/// What any process below the supervisor is given.
struct CommonContext {
  std::span<const Listener> listeners;
  pid_t supervisor;
  const Confinement* confinement = nullptr;  // nullptr: none
  int pipe = -1;                             // a descriptor more to keep; -1: none
};

/// As below, for a process without a page of its own: memory is the caller's affair.
void settle_in(const CommonContext& context, std::string_view title);

/// Against this process: it writes to no table but its own, and to nothing that the supervisor
/// alone says.
void protect(AdmissionMemory& admission, std::optional<std::size_t> own);

/// First thing in an acceptor or a worker, all signals blocked: no handler of the supervisor's, a
/// process group of its own (so that a terminal's interrupt reaches the supervisor alone, and
/// orphans can be told by their group), death with the supervisor, a title, no descriptors but the
/// standard ones, the log and the listeners, no write access to the pages of others, and no
/// privileges.
void settle_in(const ProcessContext& context, std::string_view title);

/// Last thing before the first client, when everything is set up: from here on no system calls but
/// those of the role (system_call_filter.h).
void restrict_calls(const ProcessContext& context, Role role);

/// Exit codes of acceptors and workers.
inline constexpr int planned_end = 0;    // a full life, retired, or drained
inline constexpr int setup_failed = 71;  // could not settle in
inline constexpr int lock_broken = 72;   // a worker's: the accept lock is no lock any more
/// For the log: "ended with exit code 71", "was ended by signal 9". `exitcode` is Python's.
std::string describe_end(int exitcode);

}  // namespace forkecho::server
