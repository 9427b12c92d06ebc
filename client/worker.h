// A load worker: the process that holds a share of the connections and drives them by its own event
// loop. Called by run_load as the target of an mp::Process.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "client/first_connection.h"
#include "client/load_plan.h"
#include "client/payload.h"
#include "client/run_clock.h"
#include "client/worker_books.h"

namespace forkecho::client {

/// A worker's share of the run. What it refers to outlives the worker: it is the parent's, as it
/// was at the fork, or shared memory.
struct WorkerTask {
  const LoadPlan& plan;
  const RunClock& clock;
  RunControl& control;
  WorkerBooks& books;
  ArrivalSample& arrivals;
  std::span<const sys::SocketAddress> targets;  // the connections of the run take turns over them
  std::span<const sys::SocketAddress> sources;  // to connect from; empty = see SourceAddresses
  std::span<const Exchange> exchanges;
  unsigned index;  // from 0; of plan.workers
};

/// Returns when the run is over and every connection is closed. `firsts` are the first connections
/// of the run, one to each target, of which a worker uses those that are in its share; the others
/// are closed. Throws std::system_error.
void run_worker(const WorkerTask& task, std::vector<FirstConnection> firsts);

/// Which of `connections`, numbered over the whole run, worker `index` of `workers` holds: equal
/// shares, the remainder to the first.
struct ConnectionShare {
  std::size_t first;
  std::size_t count;
};
ConnectionShare share_of(std::size_t connections, unsigned workers, unsigned index);

}  // namespace forkecho::client
