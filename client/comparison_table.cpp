#include "client/comparison_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "client/figures.h"
#include "client/findings.h"
#include "common/sys/duration.h"

namespace forkecho::client {
namespace {

using Row = std::vector<std::string>;
constexpr const char* not_measured = "–";

std::string heading(const Comparison& comparison) {
  const Machine& machine = comparison.machine;
  const LoadPlan& plan = comparison.plan;
  const std::string pins = plan.pins.to_string();
  return fmt::format(
      "machine   {} × {}{}, {} of memory, {}\n"
      "settings  {}, {} connections by {} worker{}, {} bytes of {} text, expecting {};\n"
      "          {} rounds, {} for each design after {} of warm-up{}, interleaved\n",
      machine.processors, machine.processor, pins.empty() ? "" : " (" + pins + ")",
      format_bytes(machine.memory_bytes), machine.kernel, to_string(plan.workload),
      plan.connections, plan.workers, plan.workers == 1 ? "" : "s", plan.size.to_string(),
      to_string(plan.payload), to_string(plan.expect), comparison.rounds_done,
      plan.requests > 0
          ? format_count(static_cast<double>(plan.requests)) + " " + unit_of_load(plan)
          : sys::format_duration(plan.duration),
      sys::format_duration(plan.warmup),
      comparison.pause > sys::Duration::zero()
          ? " and " + sys::format_duration(comparison.pause) + " of pause"
          : "");
}

bool per_connection(const Comparison& comparison) {
  return comparison.plan.workload == Workload::crr;
}

Row head_of_speeds(const Comparison& comparison) {
  return {"design",
          per_connection(comparison) ? "connections/s" : "requests/s",
          "range",
          comparison.baseline.empty() ? "ratio" : "× " + comparison.baseline,
          fmt::format("{:.0f} % interval", 100 * confidence),
          "p50",
          "p99",
          "errors"};
}

Row head_of_costs(const Comparison& comparison) {
  const char* unit = per_connection(comparison) ? "connection" : "request";
  return {"design",
          fmt::format("CPU/{}", unit),
          fmt::format("control/{}", format_count(stevens_connections)),
          "processes",
          "memory",
          "/connection",
          fmt::format("forks/{}", unit),
          "switches",
          "fairness"};
}

std::string errors_of(const RunResult& run) {
  const std::uint64_t failed = run.requests.failed.all() + run.connections.failed.all();
  const std::uint64_t wrong = run.verification.wrong();
  std::string text = failed > 0 || wrong == 0 ? format_count(static_cast<double>(failed)) : "";
  if (failed > 0) text += " failed";
  if (wrong > 0) {
    text += (text.empty() ? "" : ", ") + format_count(static_cast<double>(wrong)) + " wrong";
  }
  return text;
}

std::string latency_at(const RunResult& run, double quantile) {
  if (run.from_intended->count() == 0) return not_measured;
  return format_latency(run.from_intended->value_at_quantile(quantile));
}

/// "0.97–1.02, no difference" where 1 is in it.
std::string interval_of(const Comparison& comparison, const DesignResult& design) {
  if (!design.ratio_to_baseline || design.name == comparison.baseline) return not_measured;
  const auto& interval = design.ratio_to_baseline->interval;
  if (!interval) return "too few rounds";
  const std::string ends = fmt::format("{:.2f}–{:.2f}", interval->low, interval->high);
  return difference_of(interval) == Difference::none ? "no difference, " + ends : ends;
}

Row speeds_of(const Comparison& comparison, const DesignResult& design) {
  if (!design.rate) return {design.name, "not applicable"};
  return {design.name,
          format_count(design.rate->median),
          format_count(design.rate->min) + "–" + format_count(design.rate->max),
          design.ratio_to_baseline ? format_ratio(design.ratio_to_baseline->median) : not_measured,
          interval_of(comparison, design),
          latency_at(design.run, 0.50),
          latency_at(design.run, 0.99),
          errors_of(design.run)};
}

template <typename T, typename Format>
std::string cell_of(const std::optional<T>& value, const Format& format) {
  return value ? format(*value) : std::string(not_measured);
}

Row costs_of(const DesignResult& design) {
  const ServerFigures server = design.server.value_or(ServerFigures{});
  const auto micros = [](double us) { return format_three_digits(us) + " µs"; };
  const auto seconds = [](const Summary& s) { return format_three_digits(s.median) + " s"; };
  const auto count = [](auto value) { return format_count(static_cast<double>(value)); };
  const auto bytes = [](auto value) { return format_bytes(static_cast<std::uint64_t>(value)); };
  const auto two_digits = [](double value) { return fmt::format("{:.2f}", value); };
  return {design.name,
          cell_of(server.cpu_us_per_request, micros),
          cell_of(design.process_control_s, seconds),
          cell_of(server.processes, count),
          cell_of(server.pss_bytes, bytes),
          cell_of(server.pss_bytes_per_connection, bytes),
          cell_of(server.forks_per_request, two_digits),
          cell_of(server.machine_switches_per_request, two_digits),
          cell_of(server.fairness, two_digits)};
}

std::vector<std::size_t> widths_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    if (row.size() != widths.size()) continue;  // a note instead of figures takes the room there is
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  }
  for (const Row& row : rows) widths[0] = std::max(widths[0], display_width(row[0]));
  return widths;
}

/// The first column to the left, figures to the right.
std::string lay_out(const Row& row, const std::vector<std::size_t>& widths) {
  std::string line = row[0] + std::string(widths[0] - display_width(row[0]), ' ');
  for (std::size_t i = 1; i < row.size(); ++i) {
    const std::size_t width = display_width(row[i]);
    line += "  ";
    if (row.size() == widths.size()) line += std::string(widths[i] - width, ' ');
    line += row[i];
  }
  return line + "\n";
}

std::string lay_out(const std::vector<Row>& rows) {
  const auto widths = widths_of(rows);
  std::string text;
  for (const Row& row : rows) text += lay_out(row, widths);
  return text;
}

}  // namespace

std::string comparison_table(const Comparison& comparison) {
  std::vector<Row> speeds{head_of_speeds(comparison)};
  std::vector<Row> costs{head_of_costs(comparison)};
  for (const DesignResult& design : comparison.designs) {
    speeds.push_back(speeds_of(comparison, design));
    if (design.server) costs.push_back(costs_of(design));
  }
  std::string text = heading(comparison) + "\n" + lay_out(speeds) + "\n";
  if (costs.size() > 1) text += lay_out(costs) + "\n";
  for (const DesignResult& design : comparison.designs) {
    if (design.not_applicable) {
      text += fmt::format("{} is not applicable: {}.\n", design.name, *design.not_applicable);
    }
  }
  for (const std::string& note : notes(comparison)) text += "Note: " + note + "\n";
  for (const std::string& sentence : findings(comparison)) text += sentence + "\n";
  return text + pair_capacity + "\n";
}

}  // namespace forkecho::client
