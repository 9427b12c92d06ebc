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

bool is_told_apart(int error) {
  return error == EADDRNOTAVAIL || error == EMFILE || error == ENFILE;
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
  verdict.valid = !verdict.processor_full && !verdict.broke_down;
  verdict.cpu_percent = evidence.cpu_percent;
  if (evidence.other_error != 0 && !is_told_apart(evidence.other_error)) {
    verdict.reasons.push_back(
        fmt::format("server: connections failed: {}", std::strerror(evidence.other_error)));
  }
  if (!evidence.given_up.empty()) verdict.reasons.push_back("server: " + evidence.given_up);
  return verdict;
}

}  // namespace forkecho::client
