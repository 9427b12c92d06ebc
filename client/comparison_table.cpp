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
  return fmt::format(
      "machine   {}, {} processors, {} memory, {}\n"
      "settings  {}, {} connections, {} load processes, {} bytes of {} text, expecting {};\n"
      "          {} rounds, {} for each design after {} of warm-up, interleaved\n",
      machine.processor, machine.processors, format_bytes(machine.memory_bytes), machine.kernel,
      to_string(plan.workload), plan.connections, plan.workers, plan.size.to_string(),
      to_string(plan.payload), to_string(plan.expect), comparison.rounds_done,
      sys::format_duration(plan.duration), sys::format_duration(plan.warmup));
}

Row head_row(const Comparison& comparison) {
  const bool connections = comparison.plan.workload == Workload::crr;
  return {"design",
          connections ? "connections/s" : "requests/s",
          "range",
          comparison.baseline.empty() ? "ratio" : "× " + comparison.baseline,
          "p50",
          "p99",
          connections ? "CPU/connection" : "CPU/request",
          "processes",
          "memory",
          "errors"};
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

Row server_cells(const std::optional<ServerFigures>& server) {
  Row cells(3, not_measured);
  if (!server) return cells;
  if (server->cpu_us_per_request) {
    cells[0] = format_three_digits(*server->cpu_us_per_request) + " µs";
  }
  if (server->processes) cells[1] = format_count(static_cast<double>(*server->processes));
  if (server->pss_bytes) cells[2] = format_bytes(*server->pss_bytes);
  return cells;
}

Row row_of(const DesignResult& design) {
  if (!design.rate) return {design.name, "not applicable"};
  Row row{design.name,
          format_count(design.rate->median),
          format_count(design.rate->min) + "–" + format_count(design.rate->max),
          design.ratio_to_baseline ? format_ratio(design.ratio_to_baseline->median) : not_measured,
          latency_at(design.run, 0.50),
          latency_at(design.run, 0.99)};
  for (auto& cell : server_cells(design.server)) row.push_back(std::move(cell));
  row.push_back(errors_of(design.run));
  return row;
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

}  // namespace

std::string comparison_table(const Comparison& comparison) {
  std::vector<Row> rows{head_row(comparison)};
  for (const DesignResult& design : comparison.designs) rows.push_back(row_of(design));
  const auto widths = widths_of(rows);
  std::string text = heading(comparison) + "\n";
  for (const Row& row : rows) text += lay_out(row, widths);
  text += "\n";
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
