#include "client/findings.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/figures.h"

namespace forkecho::client {
namespace {

const DesignResult* find(const Comparison& comparison, const std::string& name) {
  const auto found = std::ranges::find(comparison.designs, name, &DesignResult::name);
  return found == comparison.designs.end() ? nullptr : &*found;
}

/// Processor time of the server for each connection or request, in microseconds.
struct Cost {
  double mean;                 // over all rounds
  std::vector<double> rounds;  // see cost_rounds
};

std::optional<Cost> cost_of(const DesignResult& design) {
  if (!design.server || !design.server->cpu_us_per_request) return std::nullopt;
  if (!design.server->cpu_us_per_request_rounds || *design.server->cpu_us_per_request <= 0)
    return std::nullopt;
  return Cost{*design.server->cpu_us_per_request, cost_rounds(design)};
}

/// What may be said of `a` against `b`, both measured round by round.
Difference difference_between(const std::vector<double>& a, const std::vector<double>& b) {
  const auto ratio = ratio_per_round(a, b);
  return ratio ? difference_of(ratio->interval) : Difference::unknown;
}

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += i + 1 == parts.size() ? " and " : ", ";
    text += parts[i];
  }
  return text;
}

std::string unit_singular(const Comparison& comparison) {
  std::string unit = unit_of_load(comparison.plan);
  unit.pop_back();
  return unit;
}

/// "A connection costs the server … µs of processor time: …"
std::string sentence_of_costs(const Comparison& comparison) {
  std::vector<std::string> costs;
  for (const DesignResult& design : comparison.designs) {
    if (const auto cost = cost_of(design)) {
      costs.push_back(fmt::format("{} µs in {}", format_three_digits(cost->mean), design.name));
    }
  }
  if (costs.empty()) return {};
  return fmt::format("A {} costs the server this much processor time: {}.",
                     unit_singular(comparison), join(costs));
}

/// What fork costs more, or less, than `other`; empty when either was not measured.
std::string difference_to(const Cost& fork, const DesignResult* other, const char* called) {
  const auto cost = other == nullptr ? std::nullopt : cost_of(*other);
  if (!cost) return {};
  const Difference said = difference_between(fork.rounds, cost->rounds);
  if (said == Difference::none) return fmt::format("as much as {}: no difference", called);
  const double difference = fork.mean - cost->mean;
  return fmt::format("{} µs {} than {} ({} as much{})", format_three_digits(std::abs(difference)),
                     difference > 0 ? "more" : "less", called, format_ratio(fork.mean / cost->mean),
                     said == Difference::unknown ? "; too few rounds to be sure" : "");
}

/// "A process for every connection costs …"
std::string sentence_of_fork(const Comparison& comparison) {
  const DesignResult* fork = find(comparison, "fork");
  const auto cost = fork == nullptr ? std::nullopt : cost_of(*fork);
  if (!cost) return {};
  std::vector<std::string> differences;
  for (const auto& [name, called] :
       {std::pair("pool-shared", "the pool"), std::pair("event", "the event loop")}) {
    auto difference = difference_to(*cost, find(comparison, name), called);
    if (!difference.empty()) differences.push_back(std::move(difference));
  }
  if (differences.empty()) return {};
  return fmt::format(
      "On this machine a process for every connection costs{} {}; one processor is full at about "
      "{} "
      "{} per second with it.",
      comparison.plan.workload == Workload::rr ? ", for each request," : "", join(differences),
      format_three_digits(1e6 / cost->mean), unit_of_load(comparison.plan));
}

/// For servers that could not be looked into.
std::string sentence_of_rates(const Comparison& comparison) {
  const DesignResult* most = nullptr;
  const DesignResult* fewest = nullptr;
  for (const DesignResult& design : comparison.designs) {
    if (!design.rate) continue;
    if (most == nullptr || design.rate->median > most->rate->median) most = &design;
    if (fewest == nullptr || design.rate->median < fewest->rate->median) fewest = &design;
  }
  if (most == nullptr) return {};
  const std::string unit = unit_of_load(comparison.plan);
  if (most == fewest) {
    return fmt::format("{} handled {} {} per second.", most->name, format_count(most->rate->median),
                       unit);
  }
  const Difference said = difference_between(most->rate->rounds, fewest->rate->rounds);
  if (said == Difference::none) {
    return fmt::format("No difference in {} per second was seen.", unit);
  }
  return fmt::format("{} handled the most {}, {} per second, {} as many as {}{}.", most->name, unit,
                     format_count(most->rate->median),
                     format_ratio(most->rate->median / fewest->rate->median), fewest->name,
                     said == Difference::unknown ? " (too few rounds to be sure)" : "");
}

void note_failures(const DesignResult& design, std::vector<std::string>& lines) {
  const std::uint64_t failed =
      design.run.requests.failed.all() + design.run.connections.failed.all();
  if (failed > 0) {
    lines.push_back(fmt::format("{}: {} requests or connections failed.", design.name,
                                format_count(static_cast<double>(failed))));
  }
  if (const std::uint64_t wrong = design.run.verification.wrong(); wrong > 0) {
    lines.push_back(fmt::format("{}: {} replies were wrong.", design.name,
                                format_count(static_cast<double>(wrong))));
  }
}

void note_generator(const DesignResult& design, unsigned rounds, std::vector<std::string>& lines) {
  if (design.rounds_saturated > 0) {
    lines.push_back(
        fmt::format("{}: in {} of {} rounds a processor of the load generator was full: the server "
                    "alone may do more.",
                    design.name, design.rounds_saturated, rounds));
  }
  if (!design.invalid) return;
  for (const std::string& reason : design.run.generator.reasons) {
    lines.push_back(fmt::format("{}: INVALID: {}.", design.name, reason));
  }
}

}  // namespace

std::vector<std::string> findings(const Comparison& comparison) {
  std::vector<std::string> sentences;
  for (auto sentence : {sentence_of_fork(comparison), sentence_of_costs(comparison)}) {
    if (!sentence.empty()) sentences.push_back(std::move(sentence));
  }
  if (sentences.empty()) {
    if (auto rates = sentence_of_rates(comparison); !rates.empty()) sentences.push_back(rates);
  }
  return sentences;
}

std::vector<std::string> notes(const Comparison& comparison) {
  std::vector<std::string> lines;
  if (comparison.rounds_done < comparison.rounds_asked) {
    lines.push_back(fmt::format("Interrupted: {} of {} rounds were made.", comparison.rounds_done,
                                comparison.rounds_asked));
  }
  for (const DesignResult& design : comparison.designs) {
    note_failures(design, lines);
    note_generator(design, comparison.rounds_done, lines);
  }
  return lines;
}

std::string unit_of_load(const LoadPlan& plan) {
  return plan.workload == Workload::crr ? "connections" : "requests";
}

}  // namespace forkecho::client
