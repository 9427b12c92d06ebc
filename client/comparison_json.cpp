#include "client/comparison_json.h"

#include <nlohmann/json.hpp>

#include "client/findings.h"
#include "client/run_json.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json interval_json(const std::optional<Interval>& interval) {
  if (!interval) return nullptr;
  return {{"level", confidence}, {"low", interval->low}, {"high", interval->high}};
}

Json summary_json(const std::optional<Summary>& summary) {
  if (!summary) return nullptr;
  return {{"median", summary->median},
          {"min", summary->min},
          {"max", summary->max},
          {"rounds", summary->rounds},
          {"interval", interval_json(summary->interval)}};
}

Json server_json(const std::optional<ServerFigures>& server) {
  if (!server) return nullptr;
  return {{"cpu_user_s", server->cpu_user_s},
          {"cpu_system_s", server->cpu_system_s},
          {"cpu_us_per_request", or_null(server->cpu_us_per_request)},
          {"cpu_us_per_request_rounds", summary_json(server->cpu_us_per_request_rounds)},
          {"context_switches", or_null(server->context_switches)},
          {"processes", or_null(server->processes)},
          {"pss_bytes", or_null(server->pss_bytes)},
          {"pss_bytes_per_connection", or_null(server->pss_bytes_per_connection)},
          {"machine_switches_per_request", or_null(server->machine_switches_per_request)},
          {"forks_per_request", or_null(server->forks_per_request)},
          {"fairness", or_null(server->fairness)}};
}

Json machine_json(const Machine& machine) {
  return {{"processor", machine.processor},
          {"processors", machine.processors},
          {"memory_bytes", machine.memory_bytes},
          {"kernel", machine.kernel}};
}

Json settings_json(const Comparison& comparison) {
  Json settings = to_json(comparison.plan);
  settings.erase("target");
  settings["rounds"] = comparison.rounds_asked;
  settings["rounds_done"] = comparison.rounds_done;
  return settings;
}

/// What may be said of the rate against the baseline's.
Json difference_json(const DesignResult& design) {
  if (!design.ratio_to_baseline) return nullptr;
  return to_string(difference_of(design.ratio_to_baseline->interval));
}

Json design_json(const DesignResult& design) {
  Json json{{"name", design.name},
            {"in_words", design.in_words},
            {"applicable", !design.not_applicable},
            {"reason", or_null(design.not_applicable)},
            {"rate", summary_json(design.rate)},
            {"ratio_to_baseline", summary_json(design.ratio_to_baseline)},
            {"difference", difference_json(design)},
            {"process_control_s", summary_json(design.process_control_s)},
            {"latency", nullptr},
            {"server", server_json(design.server)},
            {"run", nullptr}};
  if (!design.rate) return json;
  Json run = to_json(design.run);
  json["latency"] = run["latency"];
  json["run"] = std::move(run);
  return json;
}

}  // namespace

Json to_json(const Comparison& comparison) {
  Json designs = Json::array();
  for (const DesignResult& design : comparison.designs) designs.push_back(design_json(design));
  return {{"schema", 1},
          {"kind", "comparison"},
          {"started_at", comparison.started_at},
          {"machine", machine_json(comparison.machine)},
          {"settings", settings_json(comparison)},
          {"baseline", comparison.baseline.empty() ? Json(nullptr) : Json(comparison.baseline)},
          {"findings", findings(comparison)},
          {"notes", notes(comparison)},
          {"designs", std::move(designs)}};
}

}  // namespace forkecho::client
