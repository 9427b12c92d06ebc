// The ceiling of this client: what it reaches, in a closed loop, against a server that does next to
// nothing, here and now. A run whose rate comes near it says more about the client than about the
// server. Called by the load command when it is asked for, after the run.
#pragma once

#include "client/load_plan.h"
#include "client/run_result.h"

namespace forkecho::client {

/// Takes about a second and a half. The connections, workers, workload, sizes and depth are those
/// of `plan`; the replies are compared as ever. Throws as run_load does.
Ceiling measure_ceiling(const LoadPlan& plan);

/// The plan with which that is done, but for its target. Pure.
LoadPlan ceiling_plan(const LoadPlan& plan);

}  // namespace forkecho::client
