#include "client/verdict.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace forkecho::client {
namespace {

std::vector<std::string> full_processors(const GeneratorEvidence& evidence) {
  std::vector<std::string> reasons;
  if (evidence.measured_s < shortest_judged_s) return reasons;
  for (std::size_t i = 0; i < evidence.cpu_percent.size(); ++i) {
    if (evidence.cpu_percent[i] <= worker_cpu_limit_percent) continue;
    reasons.push_back(fmt::format(
        "generator: worker {} used {:.0f} % of a processor: it, not the server, may be the limit",
        i + 1, evidence.cpu_percent[i]));
  }
  return reasons;
}

std::vector<std::string> breakdowns(const GeneratorEvidence& evidence) {
  std::vector<std::string> reasons;
  if (evidence.ports_exhausted != 0) {
    reasons.push_back(
        fmt::format("generator: no free local port for {} connections: widen "
                    "net.ipv4.ip_local_port_range or use --workload rr",
                    evidence.ports_exhausted));
  }
  if (evidence.descriptors_exhausted != 0) {
    reasons.push_back(
        fmt::format("generator: no descriptor for {} connections: raise the limit (ulimit -n) or "
                    "use more workers",
                    evidence.descriptors_exhausted));
  }
  if (evidence.conntrack_exhausted) {
    reasons.push_back(
        "generator: this machine's table of tracked connections is full, and connects timed out: "
        "raise "
        "net.netfilter.nf_conntrack_max");
  }
  for (const std::string& dead : evidence.dead_workers) reasons.push_back("generator: " + dead);
  return reasons;
}

double percent_of(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

double milliseconds(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e6;
}

/// What the generator did not do as planned, and could have.
std::vector<std::string> own_delays(const GeneratorEvidence::OpenLoop& run) {
  std::vector<std::string> reasons;
  const double share = lag_share_limit * static_cast<double>(run.latency_p99_ns);
  if (run.completed >= fewest_judged_requests && run.lag.p99_ns > lag_limit_ns &&
      static_cast<double>(run.lag.p99_ns) > share) {
    reasons.push_back(
        fmt::format("generator: 1 % of the requests were sent more than {:.1f} ms later than they "
                    "could have been, "
                    "which is over 1 ms and over a tenth of the latency's p99 ({:.1f} ms)",
                    milliseconds(run.lag.p99_ns), milliseconds(run.latency_p99_ns)));
  }
  if (const double shed = percent_of(run.shed_by_generator, run.scheduled);
      shed > shed_limit_percent) {
    reasons.push_back(fmt::format(
        "generator: {:.1f} % of the requests were never sent, though a connection was free", shed));
  }
  return reasons;
}

bool missed_its_plan(const GeneratorEvidence::OpenLoop& run) {
  const double shed = percent_of(run.shed_by_server + run.shed_by_generator, run.scheduled);
  return shed > missed_limit_percent ||
         run.achieved_rps < run.planned_rps * (1 - missed_limit_percent / 100);
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

/// The generator and the server on one machine may be each other's limit: then nobody can say whose
/// the figures are.
bool is_limited_by_machine(const GeneratorEvidence& evidence) {
  return evidence.machine_busy_percent && *evidence.machine_busy_percent > machine_full_percent &&
         mean_of(evidence.wanted_cpu_percent) > generator_part_percent;
}

std::string full_machine(const GeneratorEvidence& evidence) {
  return fmt::format(
      "generator: {:.0f} of {:.0f} requests per second: this machine's processors were full "
      "({:.0f} % "
      "busy), and the generator's workers had or wanted {:.0f} % of one each: the machine, not the "
      "server, "
      "may be the limit",
      evidence.open_loop->achieved_rps, evidence.open_loop->planned_rps,
      *evidence.machine_busy_percent, mean_of(evidence.wanted_cpu_percent));
}

std::string slow_server(const GeneratorEvidence::OpenLoop& run) {
  return fmt::format(
      "server: {:.0f} of {:.0f} requests per second; {:.1f} % of the requests found no free place "
      "on a "
      "connection in time: it answers too slowly, or too few may be in flight (--connections, "
      "--depth)",
      run.achieved_rps, run.planned_rps, percent_of(run.shed_by_server, run.scheduled));
}

bool is_told_apart(int error) {
  return error == EADDRNOTAVAIL || error == EMFILE || error == ENFILE;
}

void judge_open_loop(const GeneratorEvidence& evidence, GeneratorVerdict& verdict) {
  const GeneratorEvidence::OpenLoop& run = *evidence.open_loop;
  for (std::string& reason : own_delays(run)) {
    verdict.reasons.push_back(std::move(reason));
    verdict.was_late = true;
  }
  if (missed_its_plan(run) && !verdict.processor_full) {
    const bool own = is_limited_by_machine(evidence);
    verdict.reasons.push_back(own ? full_machine(evidence) : slow_server(run));
    verdict.processor_full = own;
  }
  verdict.lag = run.lag;
  verdict.poisson = run.poisson;
}

}  // namespace

GeneratorVerdict judge(const GeneratorEvidence& evidence) {
  GeneratorVerdict verdict;
  verdict.reasons = full_processors(evidence);
  verdict.processor_full = !verdict.reasons.empty();
  for (std::string& reason : breakdowns(evidence)) {
    verdict.reasons.push_back(std::move(reason));
    verdict.broke_down = true;
  }
  if (evidence.open_loop) judge_open_loop(evidence, verdict);
  verdict.valid = !verdict.processor_full && !verdict.broke_down && !verdict.was_late;
  verdict.cpu_percent = evidence.cpu_percent;
  verdict.wanted_cpu_percent = evidence.wanted_cpu_percent;
  verdict.machine_busy_percent = evidence.machine_busy_percent;
  if (evidence.other_error != 0 && !is_told_apart(evidence.other_error)) {
    verdict.reasons.push_back(
        fmt::format("server: connections failed: {}", std::strerror(evidence.other_error)));
  }
  if (!evidence.given_up.empty()) verdict.reasons.push_back("server: " + evidence.given_up);
  return verdict;
}

std::string arrivals_warning(const GeneratorEvidence& evidence) {
  if (!evidence.open_loop || !evidence.open_loop->is_poisson) return {};
  const auto& test = evidence.open_loop->poisson;
  if (!test || test->p >= poisson_p_limit) return {};
  return fmt::format(
      "the requests were not sent quite as the Poisson process that was planned: they were late, "
      "and then "
      "came in bunches (Anderson-Darling: A² {:.1f}, p < {})",
      test->a_squared, poisson_p_limit);
}

}  // namespace forkecho::client
