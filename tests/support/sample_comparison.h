// A comparison with known figures, for the tests of what shows one.
#pragma once

#include "client/comparison.h"

namespace forkecho::client {

/// A slice with `completed` requests in one second, each of `latency_ns`.
inline RunResult sample_slice(std::uint64_t completed, std::uint64_t latency_ns) {
  RunResult run;
  run.target = "127.0.0.1:9001";
  run.address = run.target;
  run.plan.workload = Workload::crr;
  run.plan.workers = 2;
  run.started_at = "2026-01-31T12:00:00.000Z";
  run.duration_s = 1;
  run.achieved_rps = static_cast<double>(completed);
  run.requests = {
      .scheduled = completed, .sent = completed, .completed = completed, .shed = 0, .failed = {}};
  run.connections.opened = completed;
  run.totals = {.connections = completed,
                .requests = completed,
                .bytes_out = 64 * completed,
                .bytes_in = 64 * completed};
  run.verification.checked = completed;
  run.generator.cpu_percent = {50, 60};
  for (std::uint64_t i = 0; i < completed; ++i) run.from_intended->record(latency_ns);
  run.from_send = run.from_intended;
  run.timeline = {
      {.t_s = 1, .completed = completed, .errors = 0, .p50_ns = latency_ns, .p99_ns = latency_ns}};
  return run;
}

/// Rounds of (completed, CPU seconds), `first` and `second` in turn.
inline DesignResult sample_design(const char* name, std::uint64_t first, std::uint64_t second,
                                  double cpu_s, unsigned pairs = 1) {
  DesignSlices slices;
  for (unsigned round = 0; round < 2 * pairs; ++round) {
    slices.add(sample_slice(round % 2 == 0 ? first : second, 1'500'000),
               ServerSample{.cpu_user_s = cpu_s / 4,
                            .cpu_system_s = cpu_s * 3 / 4,
                            .context_switches = {},
                            .processes = 17,
                            .pss_bytes = 3 * 1024 * 1024,
                            .pss_idle_bytes = 2 * 1024 * 1024,
                            .machine_switches = 3000,
                            .forks = 500,
                            .fairness = 0.75});
  }
  DesignResult design;
  design.name = name;
  design.in_words = "in words";
  slices.fill_in(design);
  return design;
}

/// fork at 1,000/s and 100 µs each, pool-shared at 2,000/s and 25 µs, event at 4,000/s and 20 µs;
/// iterative not applicable.
inline Comparison sample_comparison() {
  Comparison comparison;
  comparison.started_at = "2026-01-31T12:00:00.000Z";
  comparison.machine = {.processor = "A Processor",
                        .processors = 2,
                        .memory_bytes = 4ULL << 30,
                        .kernel = "Linux 6.1"};
  comparison.plan.workload = Workload::crr;
  comparison.plan.connections = 16;
  comparison.plan.workers = 2;
  comparison.rounds_asked = comparison.rounds_done = 2;
  DesignResult iterative;
  iterative.name = "iterative";
  iterative.not_applicable = "it serves one connection at a time";
  comparison.designs = {iterative, sample_design("fork", 900, 1100, 0.1),
                        sample_design("pool-shared", 1800, 2200, 0.05),
                        sample_design("event", 3600, 4400, 0.08)};
  relate_to_baseline(comparison);
  return comparison;
}

}  // namespace forkecho::client
