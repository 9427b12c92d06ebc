// How many workers the pool should have: a pure decision, taken by the supervisor after every
// change and on its tick. It grows by doubling, as Apache's prefork does, and shrinks by one worker
// a tick.
#pragma once

#include "server/options.h"

namespace forkecho::server {

struct PoolState {
  unsigned idle;      // waiting for a connection
  unsigned busy;      // serving one
  unsigned retiring;  // told to leave, still there; they take up room but no longer count as spare
  unsigned replace;   // ended since the last decision after a full life: replaced without delay
  unsigned burst;     // what the last decision left as next_burst; 1 at first
};

struct PoolDecision {
  unsigned spawn;
  unsigned retire;  // of the idle ones
  unsigned next_burst;
  bool operator==(const PoolDecision&) const = default;
};

/// The spare workers to keep after `more` TTIN beyond the TTOU (it may be negative): both bounds
/// move by one for each, within 1 and sizes.max.
PoolSizes grown_sizes(PoolSizes sizes, int more);

/// A burst never exceeds this many forks at once, as in Apache (MAX_SPAWN_RATE).
inline constexpr unsigned largest_burst = 32;

/// Never spawns beyond sizes.max workers in all, never retires below sizes.max_spare idle ones.
PoolDecision decide_pool_size(const PoolState& state, const PoolSizes& sizes);

}  // namespace forkecho::server
