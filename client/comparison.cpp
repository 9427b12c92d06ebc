#include "client/comparison.h"

#include <algorithm>
#include <cmath>

#include "client/merge_runs.h"

namespace forkecho::client {
namespace {

using Count = std::optional<std::uint64_t>;

/// The median of those that were measured.
Count median_of(const std::vector<ServerSample>& samples, Count ServerSample::*member) {
  std::vector<double> values;
  for (const ServerSample& sample : samples) {
    if (sample.*member) values.push_back(static_cast<double>(*(sample.*member)));
  }
  const auto middle = median(values);
  return middle ? Count(static_cast<std::uint64_t>(std::llround(*middle))) : std::nullopt;
}

std::optional<double> median_of(const std::vector<double>& values, std::size_t slices) {
  return values.size() == slices ? median(values) : std::nullopt;
}

/// Empty as soon as one slice does not know: a sum of a part would say too little.
Count sum_of(const std::vector<ServerSample>& samples, Count ServerSample::*member) {
  std::uint64_t sum = 0;
  for (const ServerSample& sample : samples) {
    if (!(sample.*member)) return std::nullopt;
    sum += *(sample.*member);
  }
  return sum;
}

/// What holding a connection adds, in bytes; the server may also have shrunk meanwhile.
std::vector<double> bytes_per_connection(const std::vector<ServerSample>& samples,
                                         unsigned connections) {
  std::vector<double> bytes;
  for (const ServerSample& sample : samples) {
    if (!sample.pss_bytes || !sample.pss_idle_bytes) continue;
    const double more =
        static_cast<double>(*sample.pss_bytes) - static_cast<double>(*sample.pss_idle_bytes);
    bytes.push_back(std::max(0.0, more) / connections);
  }
  return bytes;
}

std::vector<double> fairnesses(const std::vector<ServerSample>& samples) {
  std::vector<double> values;
  for (const ServerSample& sample : samples) {
    if (sample.fairness) values.push_back(*sample.fairness);
  }
  return values;
}

std::optional<double> per_request(Count count, const RunResult& run) {
  if (!count || run.totals.requests == 0) return std::nullopt;
  return static_cast<double>(*count) / static_cast<double>(run.totals.requests);
}

/// Processor time for Stevens' connections over the baseline's, in seconds, round by round.
std::optional<Summary> process_control(const DesignResult& design, const DesignResult& iterative) {
  const auto own = cost_rounds(design);
  const auto base = cost_rounds(iterative);
  if (own.size() != base.size()) return std::nullopt;
  std::vector<double> seconds;
  for (std::size_t round = 0; round < own.size(); ++round) {
    seconds.push_back((own[round] - base[round]) * stevens_connections / 1e6);
  }
  return summarise(std::move(seconds));
}

}  // namespace

std::vector<double> cost_rounds(const DesignResult& design) {
  if (!design.server || !design.server->cpu_us_per_request_rounds || !design.rate) return {};
  const auto& rounds = design.server->cpu_us_per_request_rounds->rounds;
  return rounds.size() == design.rate->rounds.size() ? rounds : std::vector<double>();
}

void DesignSlices::add(const RunResult& run, std::optional<ServerSample> server) {
  rates_.push_back(run.achieved_rps);
  if (run.generator.processor_full) ++saturated_;
  invalid_ = invalid_ || run.generator.broke_down;
  if (server) {
    samples_.push_back(*server);
    if (run.totals.requests > 0) {
      cpu_us_per_request_.push_back((server->cpu_user_s + server->cpu_system_s) * 1e6 /
                                    static_cast<double>(run.totals.requests));
    }
  }
  add_slice(sum_, run);
}

void DesignSlices::fill_in(DesignResult& result) const {
  result.rate = summarise(rates_);
  result.rounds_saturated = saturated_;
  result.invalid = invalid_;
  result.run = sum_;
  if (samples_.empty()) return;
  ServerFigures figures;
  for (const ServerSample& sample : samples_) {
    figures.cpu_user_s += sample.cpu_user_s;
    figures.cpu_system_s += sample.cpu_system_s;
  }
  if (sum_.totals.requests > 0) {
    figures.cpu_us_per_request = (figures.cpu_user_s + figures.cpu_system_s) * 1e6 /
                                 static_cast<double>(sum_.totals.requests);
  }
  figures.cpu_us_per_request_rounds = summarise(cpu_us_per_request_);
  figures.context_switches = sum_of(samples_, &ServerSample::context_switches);
  figures.processes = median_of(samples_, &ServerSample::processes);
  figures.pss_bytes = median_of(samples_, &ServerSample::pss_bytes);
  figures.pss_bytes_per_connection =
      median_of(bytes_per_connection(samples_, sum_.plan.connections), samples_.size());
  figures.machine_switches_per_request =
      per_request(sum_of(samples_, &ServerSample::machine_switches), sum_);
  figures.forks_per_request = per_request(sum_of(samples_, &ServerSample::forks), sum_);
  figures.fairness = median_of(fairnesses(samples_), samples_.size());
  result.server = figures;
  result.run.server = ServerUsage{.cpu_user_s = figures.cpu_user_s,
                                  .cpu_system_s = figures.cpu_system_s,
                                  .cpu_us_per_request = figures.cpu_us_per_request,
                                  .context_switches = figures.context_switches,
                                  .processes = figures.processes,
                                  .pss_bytes = figures.pss_bytes};
}

std::string choose_baseline(const std::vector<DesignResult>& designs) {
  std::string first;
  for (const DesignResult& design : designs) {
    if (!design.rate) continue;
    if (design.name == "fork") return design.name;
    if (first.empty()) first = design.name;
  }
  return first;
}

void relate_to_baseline(Comparison& comparison) {
  comparison.baseline = choose_baseline(comparison.designs);
  const auto find = [&](const std::string& name) {
    return std::ranges::find(comparison.designs, name, &DesignResult::name);
  };
  const auto iterative = find("iterative");
  for (DesignResult& design : comparison.designs) {
    if (iterative == comparison.designs.end() || &design == &*iterative) continue;
    design.process_control_s = process_control(design, *iterative);
  }
  const auto baseline = find(comparison.baseline);
  if (baseline == comparison.designs.end()) return;
  for (DesignResult& design : comparison.designs) {
    if (design.rate) {
      design.ratio_to_baseline = ratio_per_round(design.rate->rounds, baseline->rate->rounds);
    }
  }
}

ExitCode exit_code(const Comparison& comparison) {
  bool invalid = false;
  bool failed = false;
  for (const DesignResult& design : comparison.designs) {
    if (design.not_applicable) continue;
    if (design.run.verification.wrong() > 0) return exit_failed;
    invalid = invalid || design.invalid;
    failed = failed || design.run.requests.completed == 0 ||
             design.run.requests.failed.all() + design.run.connections.failed.all() > 0;
  }
  if (invalid) return exit_invalid;
  return failed ? exit_failed : exit_good;
}

std::vector<std::size_t> order_of_round(std::size_t round, std::size_t count) {
  std::vector<std::size_t> order(count);
  for (std::size_t place = 0; place < count; ++place) order[place] = (round + place) % count;
  return order;
}

}  // namespace forkecho::client
