#include "client/ceiling.h"

#include <fmt/format.h>

#include "client/load.h"
#include "client/machine.h"
#include "client/null_server.h"

namespace forkecho::client {

using namespace std::chrono_literals;

LoadPlan ceiling_plan(const LoadPlan& plan) {
  LoadPlan closed = plan;
  closed.target.clear();
  closed.more_targets.clear();
  closed.source.clear();
  closed.rate = 0;
  closed.requests = 0;
  closed.duration = 1s;
  closed.warmup = 200ms;
  closed.think = closed.ramp = 0s;
  closed.expect = Expect::none;  // the server sends back what it got
  return closed;
}

Ceiling measure_ceiling(const LoadPlan& plan) {
  LoadPlan closed = ceiling_plan(plan);
  closed.workers = worker_count(closed, this_machine().processors);
  const NullServer server(closed.workers);
  set_targets(closed, server.targets());
  const RunResult result = run_load(closed, nullptr);
  return {.rps = result.achieved_rps,
          .in_words = fmt::format("closed loop, {}, {} connections by {} workers",
                                  to_string(closed.workload), closed.connections, closed.workers)};
}

}  // namespace forkecho::client
