#include "client/merge_runs.h"

#include <algorithm>

namespace forkecho::client {
namespace {

void add(ConnectionCounts& sum, const ConnectionCounts& more) {
  sum.opened += more.opened;
  sum.failed.refused += more.failed.refused;
  sum.failed.timeout += more.failed.timeout;
  sum.failed.reset += more.failed.reset;
  sum.failed.other += more.failed.other;
}

void add(RequestCounts& sum, const RequestCounts& more) {
  sum.scheduled += more.scheduled;
  sum.sent += more.sent;
  sum.completed += more.completed;
  sum.shed += more.shed;
  sum.failed.timeout += more.failed.timeout;
  sum.failed.reset += more.failed.reset;
  sum.failed.cut_short += more.failed.cut_short;
  sum.failed.other += more.failed.other;
}

void add(Totals& sum, const Totals& more) {
  sum.connections += more.connections;
  sum.requests += more.requests;
  sum.bytes_out += more.bytes_out;
  sum.bytes_in += more.bytes_in;
}

void add(Verification& sum, const Verification& more) {
  sum.checked += more.checked;
  sum.mismatched += more.mismatched;
  sum.cut_short += more.cut_short;
  sum.extra += more.extra;
}

void add_latencies(RunResult& sum, const RunResult& more) {
  sum.from_intended->merge(*more.from_intended);
  sum.from_send->merge(*more.from_send);
  sum.connect->merge(*more.connect);
  sum.first_byte->merge(*more.first_byte);
  sum.close->merge(*more.close);
}

void add_timeline(RunResult& sum, const RunResult& more) {
  for (TimelinePoint point : more.timeline) {
    point.t_s += sum.duration_s;
    sum.timeline.push_back(point);
  }
}

void add_verdict(RunResult& sum, const RunResult& more) {
  GeneratorVerdict& verdict = sum.generator;
  verdict.valid = verdict.valid && more.generator.valid;
  verdict.processor_full = verdict.processor_full || more.generator.processor_full;
  verdict.broke_down = verdict.broke_down || more.generator.broke_down;
  for (const std::string& reason : more.generator.reasons) {
    if (std::ranges::find(verdict.reasons, reason) == verdict.reasons.end()) {
      verdict.reasons.push_back(reason);
    }
  }
  const double whole = sum.duration_s + more.duration_s;
  verdict.cpu_percent.resize(
      std::max(verdict.cpu_percent.size(), more.generator.cpu_percent.size()));
  for (std::size_t worker = 0; worker < more.generator.cpu_percent.size() && whole > 0; ++worker) {
    double& mean = verdict.cpu_percent[worker];
    mean += (more.generator.cpu_percent[worker] - mean) * more.duration_s / whole;
  }
  if (!more.generator.lag) return;
  const Lag other = *more.generator.lag;
  Lag& lag = verdict.lag ? *verdict.lag : verdict.lag.emplace();
  lag = {.p50_ns = std::max(lag.p50_ns, other.p50_ns),
         .p99_ns = std::max(lag.p99_ns, other.p99_ns),
         .max_ns = std::max(lag.max_ns, other.max_ns)};
}

}  // namespace

void add_slice(RunResult& sum, const RunResult& slice) {
  if (sum.target.empty()) {
    sum = slice;
    return;
  }
  add(sum.connections, slice.connections);
  add(sum.requests, slice.requests);
  add(sum.totals, slice.totals);
  add(sum.verification, slice.verification);
  add_latencies(sum, slice);
  add_timeline(sum, slice);
  add_verdict(sum, slice);
  sum.interrupted = sum.interrupted || slice.interrupted;
  sum.duration_s += slice.duration_s;
  if (sum.duration_s > 0) {
    sum.achieved_rps = static_cast<double>(sum.requests.completed) / sum.duration_s;
  }
}

}  // namespace forkecho::client
