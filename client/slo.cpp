#include "client/slo.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "client/run_result.h"
#include "common/sys/duration.h"

namespace forkecho::client {
namespace {

std::optional<double> number(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || c == '.';
  });
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (!plain || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> percentage(std::string_view text) {
  if (text.empty() || text.back() != '%') return std::nullopt;
  const auto value = number(text.substr(0, text.size() - 1));
  return value && *value <= 100 ? value : std::nullopt;
}

std::optional<double> nanoseconds(std::string_view text) {
  const auto value = sys::parse_duration(text);
  return value ? std::optional(static_cast<double>(value->count())) : std::nullopt;
}

/// 0.999 for "p99.9" and for "p999": what follows two nines without a point stands behind one.
std::optional<double> quantile(std::string_view name) {
  if (name.size() < 2 || name[0] != 'p') return std::nullopt;
  std::string digits(name.substr(1));
  if (digits.find('.') == digits.npos && digits.size() > 2 && digits.rfind("99", 0) == 0)
    digits.insert(2, ".");
  const auto percent = number(digits);
  return percent && *percent <= 100 ? std::optional(*percent / 100) : std::nullopt;
}

std::optional<double> percent_of(double part, double whole) {
  return whole > 0 ? std::optional(100 * part / whole) : std::nullopt;
}

}  // namespace

std::optional<Slo> Slo::parse(std::string_view text) {
  Slo slo;
  slo.text_ = text;
  const std::size_t sign = text.find_first_of("<>");
  if (sign == text.npos) return std::nullopt;
  const std::string_view name = text.substr(0, sign);
  const bool or_equal = text.substr(sign + 1, 1) == "=";
  const std::string_view limit = text.substr(sign + (or_equal ? 2 : 1));
  slo.relation_ = text[sign] == '<' ? (or_equal ? Relation::at_most : Relation::less)
                                    : (or_equal ? Relation::at_least : Relation::more);
  std::optional<double> value;
  if (name == "errors" || name == "achieved" || name == "shed") {
    slo.figure_ = name == "errors" ? Figure::errors
                  : name == "shed" ? Figure::shed
                                   : Figure::achieved;
    value = percentage(limit);
  } else if (name == "rate") {
    slo.figure_ = Figure::rate;
    value = number(limit);
  } else {
    value = nanoseconds(limit);
    if (name == "min" || name == "mean" || name == "max") {
      slo.of_latency_ = name;
    } else if (const auto asked = quantile(name)) {
      slo.quantile_ = *asked;
    } else {
      return std::nullopt;
    }
  }
  if (!value) return std::nullopt;
  slo.limit_ = *value;
  return slo;
}

std::optional<double> Slo::value_in(const RunResult& run) const {
  const auto scheduled = static_cast<double>(run.requests.scheduled);
  switch (figure_) {
    case Figure::errors:
      return percent_of(
          static_cast<double>(run.requests.failed.all() + run.connections.failed.all()), scheduled);
    case Figure::shed:
      return percent_of(static_cast<double>(run.requests.shed), scheduled);
    case Figure::achieved:
      if (!run.planned_rps) return 100;
      return percent_of(run.achieved_rps, *run.planned_rps);
    case Figure::rate:
      return run.achieved_rps;
    case Figure::latency:
      break;
  }
  const LatencyHistogram& latency = *run.from_intended;
  if (latency.count() == 0) return std::nullopt;
  if (of_latency_ == "mean") return latency.mean();
  if (of_latency_ == "min") return static_cast<double>(latency.min());
  if (of_latency_ == "max") return static_cast<double>(latency.max());
  return static_cast<double>(latency.value_at_quantile(quantile_));
}

bool Slo::holds(double value) const {
  switch (relation_) {
    case Relation::less:
      return value < limit_;
    case Relation::at_most:
      return value <= limit_;
    case Relation::more:
      return value > limit_;
    case Relation::at_least:
      return value >= limit_;
  }
  return false;
}

bool Slo::held_by(const RunResult& run) const {
  const auto value = value_in(run);
  return value && holds(*value);
}

std::vector<SloOutcome> judge(const std::vector<Slo>& terms, const RunResult& run) {
  std::vector<SloOutcome> outcomes;
  for (const Slo& term : terms)
    outcomes.push_back({.term = term, .held = term.held_by(run), .value = term.value_in(run)});
  return outcomes;
}

}  // namespace forkecho::client
