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
                                 "server",      "timeline", "address", "interrupted",  "machine"}));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(keys_of(json["connections"]["failed"]), (Keys{"refused", "timeout", "reset", "other"}));
  EXPECT_EQ(keys_of(json["requests"]), (Keys{"scheduled", "sent", "completed", "shed", "failed"}));
  EXPECT_EQ(keys_of(json["requests"]["failed"]), (Keys{"timeout", "reset", "short", "other"}));
  EXPECT_EQ(keys_of(json["rate"]), (Keys{"requested_rps", "achieved_rps"}));
  EXPECT_EQ(keys_of(json["latency"]), (Keys{"from_intended", "from_send"}));
  EXPECT_EQ(keys_of(json["totals"]), (Keys{"connections", "requests", "bytes_out", "bytes_in"}));
  EXPECT_EQ(keys_of(json["verification"]), (Keys{"checked", "mismatched", "short", "extra"}));
  EXPECT_EQ(keys_of(json["generator"]), (Keys{"verdict", "reasons", "cpu_percent", "lag"}));
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
