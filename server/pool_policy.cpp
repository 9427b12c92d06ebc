#include "server/pool_policy.h"

#include <algorithm>

namespace forkecho::server {

PoolSizes grown_sizes(PoolSizes sizes, int more) {
  const auto moved = [&](unsigned bound) {
    return static_cast<unsigned>(
        std::clamp<long>(static_cast<long>(bound) + more, 1L, static_cast<long>(sizes.max)));
  };
  sizes.min_spare = moved(sizes.min_spare);
  sizes.max_spare = moved(sizes.max_spare);
  return sizes;
}

PoolDecision decide_pool_size(const PoolState& state, const PoolSizes& sizes) {
  const unsigned total = state.idle + state.busy + state.retiring;
  if (state.idle > sizes.max_spare) return {.spawn = 0, .retire = 1, .next_burst = 1};
  if (state.idle >= sizes.min_spare || total >= sizes.max)
    return {.spawn = 0, .retire = 0, .next_burst = 1};
  const unsigned missing = std::min(sizes.min_spare - state.idle, sizes.max - total);
  const unsigned spawn = std::min(missing, state.burst + state.replace);
  return {.spawn = spawn, .retire = 0, .next_burst = std::min(state.burst * 2, largest_burst)};
}

}  // namespace forkecho::server
