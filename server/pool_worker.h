// A worker of the pool: accepts one connection, serves it with serve_connection, accepts the next.
// The iterative mode is a pool of one.
//
// On a single listener it blocks in accept, where the kernel wakes one worker for one client, in
// order. It leaves after a full life (--connections-per-worker-life), or when told (worker.h).
#pragma once

#include "server/process_context.h"

namespace forkecho::server {

void run_pool_worker(const ProcessContext& context);

}  // namespace forkecho::server
