#include "common/mp/pool.h"

#include <algorithm>
#include <memory>

namespace forkecho::mp {

Pool::Pool(int processes, PoolOptions options)
    : core_(std::make_shared<detail::PoolCore>(processes, std::move(options))) {}

/// Python's rule: four chunks for each worker, rounded up.
std::size_t Pool::default_chunksize(std::size_t items) const {
  const std::size_t chunks = 4 * core_->processes();
  return std::max<std::size_t>(1, (items + chunks - 1) / chunks);
}

}  // namespace forkecho::mp
