// The JSON of a run, schema 1: the keys that README.md documents. Pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "client/run_result.h"

namespace forkecho::client {

/// Every key of the schema, in its order. What was not measured is null.
nlohmann::ordered_json to_json(const RunResult& result);

nlohmann::ordered_json to_json(const LoadPlan& plan);

}  // namespace forkecho::client
