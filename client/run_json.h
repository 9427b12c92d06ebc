// The JSON of a run, schema 1: the keys that README.md documents. Pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "client/latency_histogram.h"
#include "client/run_result.h"

namespace forkecho::client {

/// Every key of the schema, in its order. What was not measured is null.
nlohmann::ordered_json to_json(const RunResult& result);

/// {"count","min","mean","p50","p90","p99","p999","p9999","max"} in nanoseconds; of an empty
/// histogram all but the count are null.
nlohmann::ordered_json to_json(const LatencyHistogram& histogram);

nlohmann::ordered_json to_json(const LoadPlan& plan);

}  // namespace forkecho::client
