#include "client/server_sampler.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

// For the processes of the last connections to end and be reaped.
constexpr auto time_to_settle = 500ms;
// For the look to end, should the load have ended sooner than planned.
constexpr auto time_to_look = 1s;

/// Context switches of all processors since the machine started.
std::optional<std::uint64_t> read_machine_switches() {
  const std::ifstream file("/proc/stat");
  std::ostringstream text;
  text << file.rdbuf();
  return parse_proc_field(text.str(), "ctxt");
}

}  // namespace

ServerSample usage_between(const TreeUsage& before, const TreeUsage& after) {
  // The kernel rounds each process's time to its ticks, so a sum can seem to go back by one.
  ServerSample sample{.cpu_user_s = std::max(0.0, after.cpu_user_s - before.cpu_user_s),
                      .cpu_system_s = std::max(0.0, after.cpu_system_s - before.cpu_system_s),
                      .context_switches = {},
                      .processes = {},
                      .pss_bytes = {}};
  if (after.pids == before.pids && after.context_switches >= before.context_switches) {
    sample.context_switches = after.context_switches - before.context_switches;
  }
  return sample;
}

void add_counts(ServerSample& sample, const ServerStatus& before, const ServerStatus& after) {
  if (before.forked && after.forked && *after.forked >= *before.forked) {
    sample.forks = *after.forked - *before.forked;
  }
  std::vector<double> shares;
  for (const auto& [pid, connections] : after.connections) {
    const auto earlier = before.connections.find(pid);
    if (earlier == before.connections.end() || earlier->second > connections) continue;
    shares.push_back(static_cast<double>(connections - earlier->second));
  }
  sample.fairness = fairness_of(shares);
}

ServerSampler::ServerSampler(pid_t supervisor, sys::Duration middle)
    : supervisor_(supervisor),
      idle_bytes_(read_tree_memory(supervisor).pss_bytes),
      before_(read_settled_tree_usage(supervisor, sys::Deadline::after(time_to_settle))),
      switches_before_(read_machine_switches()),
      look_([this, middle] { look_at(middle); }) {
  look_.set_daemon(true);
  look_.start();
}

void ServerSampler::look_at(sys::Duration middle) {
  std::this_thread::sleep_for(middle);
  const TreeMemory memory = read_tree_memory(supervisor_);
  *seen_ = {.looked = memory.processes > 0,
            .memory_known = memory.pss_bytes.has_value(),
            .processes = memory.processes,
            .pss_bytes = memory.pss_bytes.value_or(0)};
}

std::optional<ServerSample> ServerSampler::finish() {
  const auto switches = read_machine_switches();
  const bool ended = look_.join(sys::Deadline::after(time_to_look));
  if (!ended) {
    look_.kill();
    look_.join();
  }
  const auto after = read_settled_tree_usage(supervisor_, sys::Deadline::after(time_to_settle));
  if (!before_ || !after) return std::nullopt;
  ServerSample sample = usage_between(*before_, *after);
  sample.pss_idle_bytes = idle_bytes_;
  if (switches && switches_before_) sample.machine_switches = *switches - *switches_before_;
  if (ended && seen_->looked) {
    sample.processes = seen_->processes;
    if (seen_->memory_known) sample.pss_bytes = seen_->pss_bytes;
  }
  return sample;
}

}  // namespace forkecho::client
