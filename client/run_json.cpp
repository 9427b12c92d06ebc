#include "client/run_json.h"

#include <nlohmann/json.hpp>

#include "client/histogram_json.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json connections_json(const ConnectionCounts& counts) {
  return {{"opened", counts.opened},
          {"failed",
           {{"refused", counts.failed.refused},
            {"timeout", counts.failed.timeout},
            {"reset", counts.failed.reset},
            {"other", counts.failed.other}}}};
}

Json requests_json(const RequestCounts& counts) {
  return {{"scheduled", counts.scheduled},
          {"sent", counts.sent},
          {"completed", counts.completed},
          {"shed", counts.shed},
          {"failed",
           {{"timeout", counts.failed.timeout},
            {"reset", counts.failed.reset},
            {"short", counts.failed.cut_short},
            {"other", counts.failed.other}}},
          {"shed_by_generator", counts.shed_by_generator}};
}

Json totals_json(const Totals& totals) {
  return {{"connections", totals.connections},
          {"requests", totals.requests},
          {"bytes_out", totals.bytes_out},
          {"bytes_in", totals.bytes_in}};
}

Json verification_json(const Verification& verification) {
  return {{"checked", verification.checked},
          {"mismatched", verification.mismatched},
          {"short", verification.cut_short},
          {"extra", verification.extra}};
}

Json lag_json(const std::optional<Lag>& lag) {
  if (!lag) return {{"p50", nullptr}, {"p99", nullptr}, {"max", nullptr}};
  return {{"p50", lag->p50_ns}, {"p99", lag->p99_ns}, {"max", lag->max_ns}};
}

Json poisson_json(const std::optional<AndersonDarling>& test) {
  if (!test) return nullptr;
  return {{"a_squared", test->a_squared}, {"p", test->p}, {"gaps", test->count}};
}

Json generator_json(const GeneratorVerdict& verdict) {
  return {{"verdict", verdict.valid ? "VALID" : "INVALID"},
          {"reasons", verdict.reasons},
          {"cpu_percent", verdict.cpu_percent},
          {"lag", lag_json(verdict.lag)},
          {"wanted_cpu_percent", verdict.wanted_cpu_percent},
          {"machine_busy_percent", value_or_null(verdict.machine_busy_percent)},
          {"poisson", poisson_json(verdict.poisson)}};
}

Json slos_json(const std::vector<SloOutcome>& outcomes) {
  Json slos = Json::array();
  for (const SloOutcome& outcome : outcomes) {
    slos.push_back({{"term", outcome.term.text()},
                    {"held", outcome.held},
                    {"value", value_or_null(outcome.value)}});
  }
  return slos;
}

Json ceiling_json(const std::optional<Ceiling>& ceiling) {
  if (!ceiling) return nullptr;
  return {{"rps", ceiling->rps}, {"in_words", ceiling->in_words}};
}

Json size_json(const SizeDistribution& size) {
  const auto fixed = size.fixed();
  return fixed ? Json(*fixed) : Json(size.to_string());
}

Json server_json(const std::optional<ServerUsage>& usage) {
  if (!usage) return nullptr;
  return {{"cpu_user_s", usage->cpu_user_s},
          {"cpu_system_s", usage->cpu_system_s},
          {"cpu_us_per_request", value_or_null(usage->cpu_us_per_request)},
          {"context_switches", value_or_null(usage->context_switches)},
          {"processes", value_or_null(usage->processes)},
          {"pss_bytes", value_or_null(usage->pss_bytes)}};
}

Json timeline_json(const std::vector<TimelinePoint>& timeline) {
  Json points = Json::array();
  for (const TimelinePoint& point : timeline) {
    const auto quantile = [&](std::uint64_t ns) {
      return point.completed == 0 ? Json(nullptr) : Json(ns);
    };
    points.push_back({{"t_s", point.t_s},
                      {"completed", point.completed},
                      {"errors", point.errors},
                      {"p50", quantile(point.p50_ns)},
                      {"p99", quantile(point.p99_ns)},
                      {"hdr", point.hdr.empty() ? Json(nullptr) : Json(point.hdr)}});
  }
  return points;
}

Json machine_json(const Machine& machine) {
  return {{"processor", machine.processor},
          {"processors", machine.processors},
          {"memory_bytes", machine.memory_bytes},
          {"kernel", machine.kernel}};
}

}  // namespace

Json to_json(const LoadPlan& plan) {
  const bool by_number = plan.requests != 0;
  const std::string pin = plan.pins.to_string();
  return {{"connections", plan.connections},
          {"workers", plan.workers},
          {"duration_ns", by_number ? Json(nullptr) : Json(plan.duration.count())},
          {"requests", by_number ? Json(plan.requests) : Json(nullptr)},
          {"workload", to_string(plan.workload)},
          {"size", size_json(plan.size)},
          {"payload", to_string(plan.payload)},
          {"expect", to_string(plan.expect)},
          {"warmup_ns", plan.warmup.count()},
          {"timeout_ns", plan.timeout.count()},
          {"wait_for_ns", plan.wait_for.count()},
          {"rate", is_open_loop(plan) ? Json(plan.rate) : Json(nullptr)},
          {"arrivals", to_string(plan.arrivals)},
          {"depth", plan.depth},
          {"requests_per_connection", requests_on_each(plan)},
          {"think_ns", plan.think.count()},
          {"ramp_ns", plan.ramp.count()},
          {"close", to_string(plan.close)},
          {"source", plan.source.empty() ? Json(nullptr) : Json(plan.source)},
          {"pin", pin.empty() ? Json(nullptr) : Json(pin)}};
}

Json to_json(const RunResult& result) {
  return {
      {"schema", 1},
      {"target", result.target},
      {"plan", to_json(result.plan)},
      {"started_at", result.started_at},
      {"duration_s", result.duration_s},
      {"connections", connections_json(result.connections)},
      {"requests", requests_json(result.requests)},
      {"rate",
       {{"requested_rps", value_or_null(result.requested_rps)},
        {"achieved_rps", result.achieved_rps}}},
      {"latency",
       {{"from_intended", to_json(*result.from_intended)},
        {"from_send", to_json(*result.from_send)}}},
      {"connect", to_json(*result.connect)},
      {"first_byte", to_json(*result.first_byte)},
      {"close", to_json(*result.close)},
      {"totals", totals_json(result.totals)},
      {"verification", verification_json(result.verification)},
      {"generator", generator_json(result.generator)},
      {"server", server_json(result.server)},
      {"timeline", timeline_json(result.timeline)},
      {"address", result.address},
      {"interrupted", result.interrupted},
      {"machine", machine_json(result.machine)},
      {"throughput",
       {{"out_bytes_per_s", result.bytes_out_per_s}, {"in_bytes_per_s", result.bytes_in_per_s}}},
      {"warnings", result.warnings},
      {"slo", slos_json(result.slos)},
      {"ceiling", ceiling_json(result.ceiling)}};
}

}  // namespace forkecho::client
