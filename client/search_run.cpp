#include "client/search_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "client/figures.h"
#include "client/run_json.h"
#include "client/statistics.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;

bool server_was_the_reason(const RunResult& run) {
  return std::ranges::any_of(run.generator.reasons, [](const std::string& reason) {
    return reason.starts_with("server: ");
  });
}

SearchRepeat repeat_of(const SearchTrial& trial, const RunResult& run,
                       const std::vector<Slo>& terms) {
  return {.rps = trial.rps,
          .holds = trial.holds && !trial.invalid,
          .valid = run.generator.valid,
          .wrong = run.verification.wrong() > 0,
          .achieved_rps = run.achieved_rps,
          .p50_ns = run.from_intended->value_at_quantile(0.5),
          .p99_ns = run.from_intended->value_at_quantile(0.99),
          .errors = run.requests.failed.all() + run.connections.failed.all(),
          .slos = judge(terms, run),
          .reasons = run.generator.reasons};
}

/// One line of the curve: a rate, over all its steps.
struct RateLine {
  unsigned held = 0;
  unsigned made = 0;
  std::vector<double> achieved{};
  std::uint64_t p50_ns = 0;  // the worst
  std::uint64_t p99_ns = 0;
  std::uint64_t errors = 0;
  bool valid = true;
};

std::map<double, RateLine> curve_of(const SearchResult& search) {
  std::map<double, RateLine> lines;
  for (const SearchRepeat& repeat : search.repeats) {
    RateLine& line = lines[repeat.rps];
    ++line.made;
    line.held += repeat.holds ? 1 : 0;
    line.achieved.push_back(repeat.achieved_rps);
    line.p50_ns = std::max(line.p50_ns, repeat.p50_ns);
    line.p99_ns = std::max(line.p99_ns, repeat.p99_ns);
    line.errors += repeat.errors;
    line.valid = line.valid && repeat.valid;
  }
  return lines;
}

std::string padded(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, display_width(text)), ' ') + text;
}

std::string rate_text(double rps) {
  return format_three_digits(rps);
}

std::string terms_text(const std::vector<Slo>& terms) {
  std::string text;
  for (const Slo& term : terms) text += (text.empty() ? "" : ", ") + term.text();
  return text;
}

std::string answer(const SearchResult& search) {
  const std::string terms = terms_text(search.terms);
  if (!search.highest_holding && search.end == SearchEnd::generator_limited) {
    return "Nothing can be said: the generator could not keep to any rate that was tried: INVALID.";
  }
  if (!search.highest_holding) {
    return fmt::format("No rate that was tried holds {}.", terms);
  }
  std::string text = fmt::format("The highest rate that holds {}: {} requests per second", terms,
                                 rate_text(*search.highest_holding));
  if (search.end == SearchEnd::generator_limited) {
    return text + fmt::format(". {} is more than this generator can make: INVALID.",
                              rate_text(*search.lowest_failing));
  }
  if (search.lowest_failing) {
    text += fmt::format("; {} does not", rate_text(*search.lowest_failing));
  }
  if (search.end == SearchEnd::everything_holds) text += "; more was not asked for";
  if (search.end == SearchEnd::out_of_steps) text += "; it changed too often to be told closer";
  if (!search.end) text += "; the search was interrupted";
  return text + ".";
}

std::string_view to_string(SearchEnd end) {
  switch (end) {
    case SearchEnd::found:
      return "found";
    case SearchEnd::nothing_holds:
      return "nothing_holds";
    case SearchEnd::everything_holds:
      return "everything_holds";
    case SearchEnd::generator_limited:
      return "generator_limited";
    case SearchEnd::out_of_steps:
      return "out_of_steps";
  }
  return {};
}

Json slos_json(const std::vector<SloOutcome>& outcomes) {
  Json slos = Json::array();
  for (const SloOutcome& outcome : outcomes) {
    slos.push_back({{"term", outcome.term.text()},
                    {"held", outcome.held},
                    {"value", outcome.value ? Json(*outcome.value) : Json(nullptr)}});
  }
  return slos;
}

Json repeat_json(const SearchRepeat& repeat) {
  return {{"holds", repeat.holds},     {"verdict", repeat.valid ? "VALID" : "INVALID"},
          {"reasons", repeat.reasons}, {"achieved_rps", repeat.achieved_rps},
          {"p50", repeat.p50_ns},      {"p99", repeat.p99_ns},
          {"errors", repeat.errors},   {"slo", slos_json(repeat.slos)}};
}

/// The steps took their repeats in turn.
Json steps_json(const SearchResult& search) {
  Json steps = Json::array();
  auto repeat = search.repeats.begin();
  for (const SearchStep& step : search.steps) {
    Json repeats = Json::array();
    for (unsigned i = 0;
         i < step.held + step.failed + step.invalid && repeat != search.repeats.end(); ++i) {
      repeats.push_back(repeat_json(*repeat++));
    }
    steps.push_back({{"rps", step.rps},
                     {"holds", step.holds},
                     {"invalid", step.invalid},
                     {"repeats", std::move(repeats)}});
  }
  return steps;
}

}  // namespace

SearchTrial judge_trial(double rps, const RunResult& run, const std::vector<Slo>& terms) {
  const bool held = std::ranges::all_of(terms, [&](const Slo& term) { return term.held_by(run); });
  return {.rps = rps,
          .holds = held && run.requests.completed > 0 && run.verification.wrong() == 0 &&
                   !server_was_the_reason(run),
          .invalid = !run.generator.valid};
}

SearchResult run_search(const SearchLimits& limits, const std::vector<Slo>& terms,
                        const MeasureRate& measure, const SearchProgress& progress) {
  SearchPolicy policy(limits);
  SearchResult search{.terms = terms};
  std::map<double, RunResult> holding;  // few: only those above what is known to hold
  bool interrupted = false;
  while (const auto rps = policy.next()) {
    RunResult run = measure(*rps);
    if (interrupted = run.interrupted; interrupted) break;
    const SearchTrial trial = judge_trial(*rps, run, terms);
    search.repeats.push_back(repeat_of(trial, run, terms));
    if (progress) progress(search.repeats.back());
    policy.tell(trial);
    if (search.repeats.back().holds) holding.insert_or_assign(*rps, std::move(run));
    if (const auto best = policy.highest_holding()) {
      holding.erase(holding.begin(), holding.lower_bound(*best));
    }
  }
  search.steps = policy.steps();
  search.end = interrupted ? std::nullopt : policy.end();
  search.highest_holding = policy.highest_holding();
  search.lowest_failing = policy.lowest_failing();
  if (const auto best =
          search.highest_holding ? holding.find(*search.highest_holding) : holding.end();
      best != holding.end()) {
    search.best = std::move(best->second);
  }
  return search;
}

std::string search_table(const SearchResult& search) {
  std::string text = fmt::format("{:>12}{:>9}{:>12}{:>11}{:>11}{:>9}\n", "rate", "held", "achieved",
                                 "p50", "p99", "errors");
  for (const auto& [rps, line] : curve_of(search)) {
    text += padded(rate_text(rps), 12) + padded(fmt::format("{}/{}", line.held, line.made), 9) +
            padded(rate_text(*median(line.achieved)), 12) +
            padded(format_latency(line.p50_ns), 11) + padded(format_latency(line.p99_ns), 11) +
            padded(format_count(static_cast<double>(line.errors)), 9) +
            (line.valid ? "" : "  INVALID") + "\n";
  }
  return text + "\n" + answer(search) + "\n";
}

Json to_json(const SearchResult& search) {
  const auto or_null = [](const std::optional<double>& value) {
    return value ? Json(*value) : Json(nullptr);
  };
  Json terms = Json::array();
  for (const Slo& term : search.terms) terms.push_back(term.text());
  return {{"schema", 1},
          {"kind", "search"},
          {"slo", std::move(terms)},
          {"end", search.end ? Json(to_string(*search.end)) : Json("interrupted")},
          {"highest_holding_rps", or_null(search.highest_holding)},
          {"lowest_failing_rps", or_null(search.lowest_failing)},
          {"steps", steps_json(search)},
          {"best", search.best ? to_json(*search.best) : Json(nullptr)}};
}

ExitCode exit_code(const SearchResult& search) {
  const bool wrong =
      std::ranges::any_of(search.repeats, [](const SearchRepeat& repeat) { return repeat.wrong; });
  if (wrong) return exit_failed;
  if (search.end == SearchEnd::generator_limited) return exit_invalid;
  if (search.highest_holding) return exit_good;
  const bool only_invalid =
      !search.repeats.empty() &&
      std::ranges::none_of(search.repeats, [](const SearchRepeat& repeat) { return repeat.valid; });
  return only_invalid ? exit_invalid : exit_failed;
}

}  // namespace forkecho::client
