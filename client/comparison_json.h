// The JSON of a comparison, schema 1: what compare writes with --json and what its page holds.
// Pure.
//
//   {"schema":1,"kind":"comparison","started_at","machine","settings","baseline",
//    "findings":[...],"notes":[...],
//    "designs":[{"name","in_words","applicable","reason",
//      "rate":{"median","min","max","rounds":[...],"interval":{"level","low","high"}},
//                                                        requests per second, each on a connection
//                                                        of its own when the workload is crr
//      "ratio_to_baseline":{the same},                   of the rates, round by round
//      "difference":"no difference|more|less|too few to say",     of the rate to the baseline's
//      "process_control_s":{the same as rate},           Stevens' figure 30.1 (comparison.h)
//      "latency":{as in a run},
//      "server":{"cpu_user_s","cpu_system_s","cpu_us_per_request","cpu_us_per_request_rounds",
//                "context_switches","processes","pss_bytes","pss_bytes_per_connection",
//                "machine_switches_per_request","forks_per_request","fairness"},
//      "run":{the JSON of a run, over all rounds}}]}
//
// What was not measured is null.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "client/comparison.h"

namespace forkecho::client {

nlohmann::ordered_json to_json(const Comparison& comparison);

}  // namespace forkecho::client
