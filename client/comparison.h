// Comparison: what compare found out about each design, and what was asked for. Made by
// run_comparison; read by the table, the JSON and the exit code.
//
// Value types; the functions are pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/exit_code.h"
#include "client/load_plan.h"
#include "client/machine.h"
#include "client/run_result.h"
#include "client/statistics.h"

namespace forkecho::client {

/// What the server's processes used in one slice, warm-up included, as its load is in the totals.
/// User and system time are exact in their sum alone: a kernel that splits them by its clock's
/// ticks (cputime_adjust in kernel/sched/cputime.c) calls all of a process "user" that no tick met.
struct ServerSample {
  double cpu_user_s = 0;
  double cpu_system_s = 0;
  std::optional<std::uint64_t>
      context_switches;                    // empty when processes came or went: theirs are lost
  std::optional<std::uint64_t> processes;  // in the middle of the slice
  std::optional<std::uint64_t> pss_bytes;  // likewise
  std::optional<std::uint64_t> pss_idle_bytes{};    // before the slice, without a connection
  std::optional<std::uint64_t> machine_switches{};  // context switches of the whole machine
  std::optional<std::uint64_t> forks{};             // of processes that serve
  std::optional<double> fairness{};  // Jain's index over the workers that were there all the time
};

/// The same over all slices.
struct ServerFigures {
  double cpu_user_s = 0;
  double cpu_system_s = 0;
  std::optional<double> cpu_us_per_request;  // user and system; empty without a request
  /// Of the same, round by round; of rounds without a request there is none.
  std::optional<Summary> cpu_us_per_request_rounds;
  std::optional<std::uint64_t> context_switches;
  std::optional<std::uint64_t> processes;                // median of the slices
  std::optional<std::uint64_t> pss_bytes;                // likewise
  std::optional<double> pss_bytes_per_connection{};      // median of the slices, above idle
  std::optional<double> machine_switches_per_request{};  // of the generator, too
  std::optional<double> forks_per_request{};
  std::optional<double> fairness{};  // median of the slices
};

struct DesignResult {
  std::string name;
  std::string in_words;
  std::optional<std::string> not_applicable;  // the reason; then nothing below is filled in
  std::optional<Summary> rate;                // completed requests per second
  std::optional<Summary> ratio_to_baseline;
  /// Processor time of the server for stevens_connections over that of iterative, round by round,
  /// in seconds: "process control" in Stevens' figure 30.1. Empty without iterative.
  std::optional<Summary> process_control_s;
  std::optional<ServerFigures> server;  // empty for a server that somebody else started
  unsigned rounds_saturated = 0;        // in which a processor of the generator was full
  bool invalid = false;  // the generator failed in another way, see run.generator.reasons
  RunResult run;         // all slices as one
};

/// As many as in Stevens, UNIX Network Programming, volume 1, figure 30.1.
inline constexpr double stevens_connections = 5000;

struct Comparison {
  std::string started_at;  // UTC, ISO 8601
  Machine machine;
  LoadPlan plan;  // of one slice; its target is empty
  unsigned rounds_asked = 0;
  unsigned rounds_done = 0;  // fewer when it was interrupted
  std::string baseline;  // the design to which the ratios refer; empty when none could be measured
  std::vector<DesignResult> designs;
};

/// The processor time per request of every round, in order; empty when a round has none, so that
/// two designs can be paired round by round.
std::vector<double> cost_rounds(const DesignResult& design);

/// Gathers one design's slices. The first slice's run stands for the plan and the target.
class DesignSlices {
 public:
  void add(const RunResult& run, std::optional<ServerSample> server);
  /// Everything but names and ratio.
  void fill_in(DesignResult& result) const;

 private:
  RunResult sum_;
  std::vector<double> rates_;
  std::vector<ServerSample> samples_;
  std::vector<double> cpu_us_per_request_;
  unsigned saturated_ = 0;
  bool invalid_ = false;
};

/// "fork" if it was measured, else the first that was; empty for none.
std::string choose_baseline(const std::vector<DesignResult>& designs);
/// Fills in the baseline, every design's ratio to it, and its process control.
void relate_to_baseline(Comparison& comparison);

/// As that of a run, over all designs: a wrong reply anywhere first, then INVALID, then anything
/// that failed. A full processor of the generator is no failure here (comparison_run.h says why).
ExitCode exit_code(const Comparison& comparison);

/// The order in which round `round` takes `count` designs: each round begins one further, so that
/// no design is always first, while the machine is still cold, or always last.
std::vector<std::size_t> order_of_round(std::size_t round, std::size_t count);

}  // namespace forkecho::client
