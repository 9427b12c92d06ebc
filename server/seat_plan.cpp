#include "server/seat_plan.h"

#include <algorithm>

namespace forkecho::server {

std::size_t seat_count(const Options& options, unsigned cpus) {
  switch (options.mode) {
    case Mode::iterative:
      return 1;
    case Mode::fork:
      return options.acceptors;
    case Mode::event:
      return cpus;
    case Mode::pool:
      break;
  }
  if (has_single_use_workers(options)) return 1;
  if (has_listeners_of_their_own(options)) return options.pool.start;
  const std::size_t most = std::min<std::size_t>(options.pool.max, options.max_connections);
  // One more, to find all the others busy and turn its client away.
  return options.when_full == WhenFull::refuse ? most + 1 : most;
}

unsigned places(const Options& options, unsigned all, unsigned elsewhere) {
  const bool shares = serves_one_each(options) && !has_listeners_of_their_own(options);
  return shares ? all - std::min(elsewhere, all) : all;
}

std::size_t child_limit(const Options& options) {
  return options.mode == Mode::pool
             ? std::min<std::size_t>(options.pool.max, options.max_connections)
             : options.max_connections;
}

bool serves_one_each(const Options& options) {
  return (options.mode == Mode::pool && !forks_children(options)) ||
         options.mode == Mode::iterative;
}

bool is_sized(const Options& options) {
  return options.mode == Mode::pool && !forks_children(options) &&
         !has_listeners_of_their_own(options);
}

std::uint64_t most_open(const Options& options) {
  return options.max_connections + 64U;
}

}  // namespace forkecho::server
