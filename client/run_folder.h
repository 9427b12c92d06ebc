// A folder into which several load processes write their runs, on a volume that they share: which
// are there, and the wait until all are. Called by merge; the report job of a stack of containers
// is a `forkecho merge` that waits.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "client/start_moment.h"
#include "common/sys/deadline.h"

namespace forkecho::client {

/// The *.json files of runs in `folder`, by name; with `start_at` those alone that began then, so
/// that what an earlier load left is not counted. A file that is no run, or not whole yet, is
/// passed over. Throws std::system_error when the folder cannot be read.
std::vector<std::string> runs_in(const std::string& folder,
                                 const std::optional<WallTime>& start_at);

/// Looks again and again (a folder of another machine gives no notice) until there are `count` of
/// them, and returns what there is then, or at the deadline. SIGINT and SIGTERM have their usual
/// effect. Throws as runs_in.
std::vector<std::string> wait_for_runs(const std::string& folder, std::size_t count,
                                       const std::optional<WallTime>& start_at,
                                       sys::Deadline deadline);

}  // namespace forkecho::client
