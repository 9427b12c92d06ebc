// Reconfiguration: what of a newly read configuration can take effect in a daemon that runs. Pure
// decisions; reload.h acts on them. Whatever is not named here takes effect with the next
// generation of processes (generations.h), the log's level and format and the backlog at once.
#pragma once

#include <string>
#include <vector>

#include "server/options.h"

namespace forkecho::server {

struct Reconfiguration {
  Options options;  // as wanted, but for what was kept
  /// Options whose new value has to wait for a restart: "--listen", ...
  std::vector<std::string> kept;
};

/// Listeners, the mode, the control socket, the pid file and the like are a running daemon's for
/// life: where `wanted` has another value than `running`, that of `running` is kept and named.
Reconfiguration keep_what_cannot_change(const Options& wanted, const Options& running);

}  // namespace forkecho::server
