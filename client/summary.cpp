#include "client/summary.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

#include "common/sys/duration.h"

namespace forkecho::client {
namespace {

using Buffer = fmt::memory_buffer;

template <typename... Args>
void line(Buffer& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
  out.push_back('\n');
}

void add_plan(Buffer& out, const RunResult& result) {
  const LoadPlan& plan = result.plan;
  const std::string length = plan.requests != 0 ? fmt::format("{} requests", plan.requests)
                                                : sys::format_duration(plan.duration);
  line(out, "{} {} ({}), {} connections by {} worker{}, requests of {} bytes {}",
       to_string(plan.workload), result.target, length, plan.connections, plan.workers,
       plan.workers == 1 ? "" : "s", plan.size.to_string(), to_string(plan.payload));
  const std::string pins = plan.pins.to_string();
  line(out, "on {} × {}, {}, {} of memory{}", result.machine.processors, result.machine.processor,
       result.machine.kernel, readable_bytes(result.machine.memory_bytes),
       pins.empty() ? "" : ", pinned to " + pins);
}

/// A rate of less than ten thousand has four digits, be they behind the point.
std::string readable_rate(double per_second) {
  return per_second < 9999.5 ? fmt::format("{:.4g}", per_second)
                             : fmt::format("{:.0f}", per_second);
}

void add_requests(Buffer& out, const RunResult& result) {
  const RequestCounts& requests = result.requests;
  line(out, "  requests     {} sent, {} completed, {} failed in {:.2f} s", requests.sent,
       requests.completed, requests.failed.all(), result.duration_s);
  if (!result.requested_rps) {
    line(out, "  rate         {:.0f} per second (closed loop: as fast as the replies come)",
         result.achieved_rps);
  } else {
    line(out, "  rate         {} per second of {} asked for ({} arrivals)",
         readable_rate(result.achieved_rps), readable_rate(*result.requested_rps),
         to_string(result.plan.arrivals));
    line(out, "  plan         {} scheduled, {} of them never sent", requests.scheduled,
         requests.shed);
  }
  if (result.plan.workload == Workload::stream) {
    line(out, "  throughput   {} per second out, {} per second in",
         readable_bytes(static_cast<std::uint64_t>(result.bytes_out_per_s)),
         readable_bytes(static_cast<std::uint64_t>(result.bytes_in_per_s)));
  }
  if (result.ceiling) {
    line(out, "  ceiling      {} per second: this client against a server that does nothing ({})",
         readable_rate(result.ceiling->rps), result.ceiling->in_words);
  }
}

void add_latency(Buffer& out, const char* name, const LatencyHistogram& histogram) {
  if (histogram.count() == 0) return;
  line(out, "  {:<12} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}", name, readable_time(histogram.min()),
       readable_time(histogram.value_at_quantile(0.5)),
       readable_time(histogram.value_at_quantile(0.9)),
       readable_time(histogram.value_at_quantile(0.99)),
       readable_time(histogram.value_at_quantile(0.999)), readable_time(histogram.max()));
}

void add_latencies(Buffer& out, const RunResult& result) {
  if (result.from_intended->count() == 0)
    return line(out, "  latency      none: no request was completed");
  line(out, "               {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}", "min", "p50", "p90", "p99",
       "p99.9", "max");
  if (result.requested_rps) {
    add_latency(out, "from plan", *result.from_intended);
    add_latency(out, "from send", *result.from_send);
  } else {
    add_latency(out, "latency", *result.from_intended);
  }
  if (requests_on_each(result.plan) == 0) return;
  add_latency(out, "connect", *result.connect);
  add_latency(out, "first byte", *result.first_byte);
  add_latency(out, "close", *result.close);
}

/// "3 timeout, 1 reset"; empty when there is nothing to tell.
std::string counts_text(std::initializer_list<std::pair<const char*, std::uint64_t>> counts) {
  std::string text;
  for (const auto& [name, count] : counts) {
    if (count != 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name);
  }
  return text;
}

void add_failures(Buffer& out, const RunResult& result) {
  const auto& requests = result.requests.failed;
  const auto& connections = result.connections.failed;
  const Verification& replies = result.verification;
  const std::string failed = counts_text({{"timeout", requests.timeout},
                                          {"reset", requests.reset},
                                          {"short", requests.cut_short},
                                          {"other", requests.other}});
  const std::string unconnected = counts_text({{"refused", connections.refused},
                                               {"timeout", connections.timeout},
                                               {"reset", connections.reset},
                                               {"other", connections.other}});
  const std::string wrong = counts_text({{"mismatched", replies.mismatched},
                                         {"short", replies.cut_short},
                                         {"with extra bytes", replies.extra}});
  if (!failed.empty()) line(out, "  failed       {}", failed);
  if (!unconnected.empty()) line(out, "  connections  {}", unconnected);
  line(out, "  replies      {} checked to the last byte: {}", replies.checked,
       wrong.empty() ? "all right" : "WRONG: " + wrong);
}

void add_totals(Buffer& out, const RunResult& result) {
  const Totals& totals = result.totals;
  line(out, "  totals       {} connections, {} requests, {} out, {} in (with the warm-up)",
       totals.connections, totals.requests, readable_bytes(totals.bytes_out),
       readable_bytes(totals.bytes_in));
}

void add_verdict(Buffer& out, const RunResult& result) {
  const GeneratorVerdict& generator = result.generator;
  std::string used;
  for (const double percent : generator.cpu_percent)
    used += fmt::format("{}{:.0f} %", used.empty() ? "" : ", ", percent);
  line(out, "  generator    {}; processor time of its workers: {}",
       generator.valid ? "VALID" : "INVALID", used);
  if (generator.lag) {
    line(out, "               lag p50 {}, p99 {}, max {}", readable_time(generator.lag->p50_ns),
         readable_time(generator.lag->p99_ns), readable_time(generator.lag->max_ns));
  }
  if (generator.poisson && result.plan.arrivals == Arrivals::poisson) {
    line(out, "               Poisson arrivals: Anderson-Darling A² {:.2f}, p {:.3f}, of {} gaps",
         generator.poisson->a_squared, generator.poisson->p, generator.poisson->count);
  }
  for (const std::string& reason : generator.reasons) line(out, "               {}", reason);
  for (const std::string& warning : result.warnings) line(out, "  warning      {}", warning);
  if (result.interrupted) line(out, "  interrupted  the run was ended early by a signal");
}

/// "4.21 ms", "0.3 %", "1200": in the unit of the term.
std::string slo_value(const SloOutcome& outcome) {
  if (!outcome.value) return "nothing to judge by";
  switch (outcome.term.figure()) {
    case Slo::Figure::latency:
      return readable_time(static_cast<std::uint64_t>(*outcome.value));
    case Slo::Figure::rate:
      return readable_rate(*outcome.value);
    default:
      return fmt::format("{:.4g} %", *outcome.value);
  }
}

void add_slos(Buffer& out, const RunResult& result) {
  for (const SloOutcome& outcome : result.slos) {
    line(out, "  slo          {} {}: {}", outcome.term.text(), outcome.held ? "held" : "MISSED",
         slo_value(outcome));
  }
}

}  // namespace

std::string readable_time(std::uint64_t ns) {
  const auto value = static_cast<double>(ns);
  if (ns < 1000) return fmt::format("{} ns", ns);
  constexpr std::array<std::pair<double, const char*>, 3> units{
      {{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}}};
  for (const auto& [size, name] : units) {
    if (value < size) continue;
    const double number = value / size;
    return fmt::format("{:.{}f} {}", number, number < 9.995 ? 2 : number < 99.95 ? 1 : 0, name);
  }
  return {};
}

std::string readable_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto number = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* name : {"KiB", "MiB", "GiB", "TiB"}) {
    if (number < 1024) break;
    number /= 1024;
    unit = name;
  }
  return fmt::format("{:.1f} {}", number, unit);
}

std::string summary(const RunResult& result) {
  Buffer out;
  add_plan(out, result);
  add_requests(out, result);
  add_latencies(out, result);
  add_failures(out, result);
  add_totals(out, result);
  add_verdict(out, result);
  add_slos(out, result);
  return fmt::to_string(out);
}

}  // namespace forkecho::client
