#include "server/contradiction.h"

#include <unistd.h>

#include <set>

#include "common/sys/socket_address.h"
#include "server/confinement.h"
#include "server/listener.h"

namespace forkecho::server {
namespace {

/// Each worker has a queue of its own, which nobody else can empty.
std::string find_contradiction_of_own_queues(const Options& options) {
  const PoolSizes& pool = options.pool;
  if (pool.start == 0) return "--pool-start 0: --accept reuseport needs a worker for each queue";
  if (pool.max != pool.start || pool.min_spare != pool.start || pool.max_spare != pool.start)
    return "--accept reuseport: the pool has a fixed size, a queue for each worker: give "
           "--pool-start alone";
  if (pool.start > options.max_connections)
    return "--accept reuseport: --max-connections is smaller than --pool-start, the number of "
           "queues that are served";
  if (options.when_full == WhenFull::refuse)
    return "--when-full refuse: with --accept reuseport clients wait in the queue of one worker, "
           "full or not";
  for (const std::string& address : options.listen) {
    if (address.starts_with("unix:"))
      return "--listen " + address +
             ": --accept reuseport is for TCP (the system gives no second queue to a unix socket)";
  }
  return {};
}

std::string find_contradiction_of_accept(const Options& options) {
  if (options.accept == Accept::shared) return {};
  const std::string given = "--accept " + std::string(to_string(options.accept));
  if (options.mode != Mode::pool) return given + " concerns --mode pool only";
  if (has_single_use_workers(options))
    return given + ": --connections-per-worker-life 1 is for --accept shared";
  return has_listeners_of_their_own(options) ? find_contradiction_of_own_queues(options)
                                             : std::string();
}

std::string find_contradiction_of_acceptors(const Options& options) {
  return options.acceptors == 1 || options.mode == Mode::fork
             ? std::string()
             : "--acceptors " + std::to_string(options.acceptors) + " concerns --mode fork only";
}

std::string find_contradiction_of_lives(const Options& options) {
  const std::uint64_t life = options.connections_per_worker_life;
  if (life > 0 && (options.mode == Mode::fork || options.mode == Mode::event))
    return "--connections-per-worker-life concerns --mode pool and iterative only";
  if (options.life_jitter > 0 && life == 0)
    return "--life-jitter shortens a --connections-per-worker-life, and there is none";
  return {};
}

std::string find_contradiction_of_sizes(const PoolSizes& pool) {
  if (pool.max == 0) return "--pool-max 0: a pool needs a worker";
  if (pool.min_spare == 0) return "--pool-min-spare 0: nobody would be there to accept";
  if (pool.min_spare > pool.max_spare) return "--pool-min-spare is larger than --pool-max-spare";
  if (pool.start > pool.max) return "--pool-start is larger than --pool-max";
  if (pool.min_spare > pool.max) return "--pool-min-spare is larger than --pool-max";
  return {};
}

std::string find_contradiction_of_admission(const AdmissionOptions& admission) {
  if (admission.accept_burst != 0 && admission.accept_rate == 0)
    return "--accept-burst means nothing without --accept-rate";
  if (!admission.exempt.empty() && admission.max_per_source == 0 && admission.accept_rate == 0)
    return "--exempt means nothing without --max-per-source or --accept-rate";
  return {};
}

std::string find_contradiction_of_listeners(const Options& options) {
  return options.listen.size() <= max_listeners
             ? std::string()
             : "more than " + std::to_string(max_listeners) + " --listen addresses";
}

}  // namespace

std::string find_contradiction(const Options& options) {
  for (const std::string& wrong :
       {find_contradiction_of_accept(options), find_contradiction_of_acceptors(options),
        find_contradiction_of_sizes(options.pool), find_contradiction_of_lives(options),
        find_contradiction_of_admission(options.admission),
        find_contradiction_of_listeners(options),
        find_contradiction(options.confinement, geteuid())}) {
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string find_unusable(const Options& options) {
  std::set<std::string> seen;
  for (const std::string& text : options.listen) {
    const sys::ResolvedAddresses resolved = sys::resolve(text);
    if (!resolved.error.empty()) return resolved.error;
    const std::string address = resolved.addresses.front().to_string();
    if (!address.ends_with(":0") && !seen.insert(address).second)
      return "--listen " + address + " is there twice";
  }
  return {};
}

}  // namespace forkecho::server
