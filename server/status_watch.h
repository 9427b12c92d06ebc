// `forkechod status --watch`: the status again and again, until the person interrupts it or the
// daemon is gone. On a terminal the screen is redrawn in place; elsewhere one block follows the
// other (with --json one line), so that it can be kept in a file.
#pragma once

#include <string>

#include "common/sys/deadline.h"

namespace forkecho::server {

struct WatchOptions {
  std::string control;
  sys::Duration every = std::chrono::seconds(1);
  bool json = false;
};

/// Returns after INT, TERM or HUP, and when the daemon has ended. Throws FatalError(unavailable)
/// when there is none at the beginning, std::system_error when standard output cannot be written.
void watch_status(const WatchOptions& options);

}  // namespace forkecho::server
