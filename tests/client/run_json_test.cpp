#include "client/run_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> keys_of(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  return keys;
}

using Keys = std::vector<std::string>;

TEST(RunJson, HasTheKeysOfTheSchema) {
  const Json json = to_json(RunResult{});
  EXPECT_EQ(keys_of(json), (Keys{"schema",      "target",   "plan",    "started_at",   "duration_s",
                                 "connections", "requests", "rate",    "latency",      "connect",
                                 "first_byte",  "close",    "totals",  "verification", "generator",
                                 "server",      "timeline", "address", "interrupted",  "machine",
                                 "throughput",  "warnings", "slo",     "ceiling"}));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(keys_of(json["connections"]["failed"]), (Keys{"refused", "timeout", "reset", "other"}));
  EXPECT_EQ(keys_of(json["requests"]),
            (Keys{"scheduled", "sent", "completed", "shed", "failed", "shed_by_generator"}));
  EXPECT_EQ(keys_of(json["requests"]["failed"]), (Keys{"timeout", "reset", "short", "other"}));
  EXPECT_EQ(keys_of(json["rate"]), (Keys{"requested_rps", "achieved_rps"}));
  EXPECT_EQ(keys_of(json["latency"]), (Keys{"from_intended", "from_send"}));
  EXPECT_EQ(keys_of(json["totals"]), (Keys{"connections", "requests", "bytes_out", "bytes_in"}));
  EXPECT_EQ(keys_of(json["verification"]), (Keys{"checked", "mismatched", "short", "extra"}));
  EXPECT_EQ(keys_of(json["generator"]),
            (Keys{"verdict", "reasons", "cpu_percent", "lag", "wanted_cpu_percent",
                  "machine_busy_percent", "poisson"}));
  EXPECT_EQ(keys_of(json["generator"]["lag"]), (Keys{"p50", "p99", "max"}));
}

TEST(RunJson, WhatWasNotMeasuredIsNull) {
  const Json json = to_json(RunResult{});
  EXPECT_TRUE(json["server"].is_null());
  EXPECT_TRUE(json["rate"]["requested_rps"].is_null());
  EXPECT_TRUE(json["generator"]["lag"]["p99"].is_null());
  EXPECT_EQ(json["latency"]["from_send"]["count"], 0);
  EXPECT_TRUE(json["latency"]["from_send"]["p50"].is_null());
}

TEST(RunJson, ValuesAreWhereTheyBelong) {
  RunResult result;
  result.connections.failed.reset = 4;
  result.requests = {
      .scheduled = 10, .sent = 10, .completed = 7, .failed = {.timeout = 1, .cut_short = 2}};
  result.verification = {.checked = 7, .mismatched = 3, .cut_short = 2, .extra = 1};
  result.generator.valid = false;
  result.generator.reasons = {"generator: tired"};
  result.server = ServerUsage{.cpu_user_s = 1.5, .processes = 9};
  result.timeline = {{.t_s = 1, .completed = 5, .errors = 1, .p50_ns = 10, .p99_ns = 20},
                     {.t_s = 2, .errors = 2}};
  const Json json = to_json(result);
  EXPECT_EQ(json["connections"]["failed"]["reset"], 4);
  EXPECT_EQ(json["requests"]["failed"],
            (Json{{"timeout", 1}, {"reset", 0}, {"short", 2}, {"other", 0}}));
  EXPECT_EQ(json["verification"],
            (Json{{"checked", 7}, {"mismatched", 3}, {"short", 2}, {"extra", 1}}));
  EXPECT_EQ(json["generator"]["verdict"], "INVALID");
  EXPECT_EQ(json["generator"]["reasons"][0], "generator: tired");
  EXPECT_EQ(keys_of(json["server"]), (Keys{"cpu_user_s", "cpu_system_s", "cpu_us_per_request",
                                           "context_switches", "processes", "pss_bytes"}));
  EXPECT_EQ(json["server"]["processes"], 9);
  EXPECT_EQ(json["timeline"][0]["p99"], 20);
  EXPECT_TRUE(json["timeline"][0]["hdr"].is_null());
  EXPECT_TRUE(json["timeline"][1]["p99"].is_null());
}

TEST(RunJson, OpenLoopHasItsLagAndItsTerms) {
  RunResult result;
  result.requested_rps = 1000;
  result.generator.lag = Lag{.p50_ns = 1, .p99_ns = 2, .max_ns = 3};
  result.generator.poisson = AndersonDarling{.count = 40, .a_squared = 0.5, .p = 0.7};
  result.slos = {{.term = *Slo::parse("p99<5ms"), .held = true, .value = 4e6},
                 {.term = *Slo::parse("max<5ms"), .held = false}};
  result.warnings = {"few ports"};
  result.ceiling = Ceiling{.rps = 5, .in_words = "rr"};
  const Json json = to_json(result);
  EXPECT_EQ(json["rate"]["requested_rps"], 1000);
  EXPECT_EQ(json["generator"]["lag"], (Json{{"p50", 1}, {"p99", 2}, {"max", 3}}));
  EXPECT_EQ(json["generator"]["poisson"], (Json{{"a_squared", 0.5}, {"p", 0.7}, {"gaps", 40}}));
  EXPECT_EQ(json["slo"][0], (Json{{"term", "p99<5ms"}, {"held", true}, {"value", 4e6}}));
  EXPECT_TRUE(json["slo"][1]["value"].is_null());
  EXPECT_EQ(json["warnings"][0], "few ports");
  EXPECT_EQ(json["ceiling"]["rps"], 5);
}

TEST(RunJson, PlanHasEveryOption) {
  LoadPlan plan;
  EXPECT_TRUE(to_json(plan)["rate"].is_null());
  EXPECT_EQ(to_json(plan)["size"], 64);
  plan.rate = 2.5;
  plan.arrivals = Arrivals::poisson;
  plan.size = *SizeDistribution::parse("64:9,4096:1");
  plan.workload = Workload::crr;
  plan.close = Close::rst;
  plan.source = "127.0.0.0/8";
  plan.depth = 3;
  EXPECT_TRUE(to_json(plan)["pin"].is_null());
  plan.pins = *ProcessorPins::parse("server:0,client:1");
  const Json json = to_json(plan);
  EXPECT_EQ(json["rate"], 2.5);
  EXPECT_EQ(json["arrivals"], "poisson");
  EXPECT_EQ(json["size"], "64:9,4096:1");
  EXPECT_EQ(json["requests_per_connection"], 1);
  EXPECT_EQ(json["close"], "rst");
  EXPECT_EQ(json["source"], "127.0.0.0/8");
  EXPECT_EQ(json["depth"], 3);
  EXPECT_EQ(json["pin"], "server:0,client:1");
  EXPECT_EQ(json["think_ns"], 0);
}

TEST(RunJson, PlanSaysWhetherItWasByDurationOrNumber) {
  LoadPlan plan;
  plan.workload = Workload::crr;
  EXPECT_EQ(to_json(plan)["duration_ns"], 10'000'000'000);
  EXPECT_TRUE(to_json(plan)["requests"].is_null());
  EXPECT_EQ(to_json(plan)["workload"], "crr");
  plan.requests = 5;
  EXPECT_TRUE(to_json(plan)["duration_ns"].is_null());
  EXPECT_EQ(to_json(plan)["requests"], 5);
}

}  // namespace
}  // namespace forkecho::client
