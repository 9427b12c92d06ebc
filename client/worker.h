// A load worker: the process that holds a share of the connections and drives them by its own event
// loop. Called by run_load as the target of an mp::Process.
#pragma once

#include <cstddef>
#include <span>

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
  const sys::SocketAddress& target;
  std::span<const Exchange> exchanges;
  unsigned index;           // from 0; worker 0 is given the first connection
  std::size_t connections;  // that it holds at once
};

/// Returns when the run is over and every connection is closed. Throws std::system_error.
void run_worker(const WorkerTask& task, FirstConnection first);

/// How many of `connections` worker `index` of `workers` holds: equal shares, the remainder to the
/// first.
std::size_t share_of(std::size_t connections, unsigned workers, unsigned index);

}  // namespace forkecho::client
