#include "client/merge_documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "client/hdr_encoding.h"
#include "client/run_files.h"
#include "client/run_json.h"
#include "tests/support/sample_comparison.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;
using testing::ElementsAre;

constexpr double noon = 1769860800;

/// A run of one process that met these latencies in two seconds.
RunResult run_of(std::span<const std::uint64_t> latencies, double start_s = noon) {
  RunResult run = sample_slice(0, 0);
  run.started_at = format_utc(start_s);
  run.duration_s = 2;
  run.plan.connections = 10;
  run.timeline.clear();
  for (std::size_t second = 0; second < 2; ++second) {
    Boxed<LatencyHistogram> part;
    for (std::size_t i = second; i < latencies.size(); i += 2) part->record(latencies[i]);
    run.from_intended->merge(*part);
    run.timeline.push_back({.t_s = static_cast<double>(second + 1),
                            .completed = part->count(),
                            .errors = 1,
                            .p50_ns = part->value_at_quantile(0.5),
                            .p99_ns = part->value_at_quantile(0.99),
                            .hdr = encode_hdr(to_hdr(*part))});
  }
  run.from_send = run.first_byte = run.from_intended;
  const std::uint64_t count = latencies.size();
  run.requests = {.scheduled = count + 5,
                  .sent = count + 2,
                  .completed = count,
                  .shed = 3,
                  .failed = {.timeout = 2}};
  run.totals = {
      .connections = 10, .requests = count, .bytes_out = 64 * count, .bytes_in = 64 * count};
  run.requested_rps = 100;
  run.achieved_rps = static_cast<double>(count) / 2;
  return run;
}

std::vector<std::uint64_t> some_latencies() {
  std::mt19937_64 random(5);
  std::lognormal_distribution<double> distribution(12, 2);
  std::vector<std::uint64_t> values(3000);
  for (auto& value : values) value = static_cast<std::uint64_t>(distribution(random));
  return values;
}

TEST(MergeDocuments, EqualsOneRunOverAllSamples) {
  const auto all = some_latencies();
  const Json whole = to_json(run_of(all));
  std::vector<Json> parts;
  for (std::size_t part = 0; part < 3; ++part) {
    parts.push_back(to_json(run_of(std::span(all).subspan(part * 1000, 1000))));
  }
  const Json merged = merge_documents(parts);
  EXPECT_EQ(merged["latency"], whole["latency"]);
  EXPECT_EQ(merged["first_byte"], whole["first_byte"]);
  EXPECT_EQ(merged["connect"], whole["connect"]) << "nobody had one";
  EXPECT_EQ(merged["requests"]["completed"], 3000);
  EXPECT_EQ(merged["requests"]["scheduled"], 3015);
  EXPECT_EQ(merged["requests"]["failed"]["timeout"], 6);
  EXPECT_EQ(merged["rate"]["achieved_rps"], whole["rate"]["achieved_rps"]);
  ASSERT_EQ(merged["timeline"].size(), 2U);
  for (const char* key : {"completed", "p50", "p99", "hdr", "t_s"}) {
    EXPECT_EQ(merged["timeline"][1][key], whole["timeline"][1][key]) << key;
  }
  EXPECT_EQ(merged["timeline"][1]["errors"], 3);
}

TEST(MergeDocuments, InAnyOrderAndStepByStepIsTheSame) {
  const auto all = some_latencies();
  std::vector<Json> parts;
  for (std::size_t part = 0; part < 3; ++part) {
    parts.push_back(to_json(run_of(std::span(all).subspan(part * 1000, 1000))));
  }
  Json at_once = merge_documents(parts);
  Json in_steps = merge_documents({merge_documents({parts[2], parts[0]}), parts[1]});
  at_once.erase("merged_from");
  in_steps.erase("merged_from");
  EXPECT_EQ(at_once, in_steps);
}

TEST(MergeDocuments, AddsUpSharesOfRunsSideBySide) {
  const std::uint64_t latencies[] = {1, 2, 3, 4};
  const Json run = to_json(run_of(latencies));
  const Json merged = merge_documents({run, run});
  EXPECT_EQ(merged["plan"]["connections"], 20);
  EXPECT_EQ(merged["plan"]["workers"], 4);
  EXPECT_EQ(merged["plan"]["size"], 64);
  EXPECT_EQ(merged["duration_s"], 2);
  EXPECT_EQ(merged["rate"]["requested_rps"], 200);
  EXPECT_EQ(merged["rate"]["achieved_rps"], 4);
  EXPECT_EQ(merged["generator"]["cpu_percent"], Json({50, 60, 50, 60}));
  EXPECT_EQ(merged["merged_from"], 2);
}

TEST(MergeDocuments, NamesAllPlacesOfRunsSideBySide) {
  const std::uint64_t latencies[] = {1, 2};
  RunResult first = run_of(latencies);
  first.plan.pins = *ProcessorPins::parse("client:0");
  RunResult second = run_of(latencies);
  second.plan.pins = *ProcessorPins::parse("client:1");
  second.plan.source = "127.1.0.0/30";
  const Json merged = merge_documents({to_json(first), to_json(second)});
  EXPECT_EQ(merged["plan"]["pin"], "client:0, client:1");
  EXPECT_EQ(merged["plan"]["source"], "127.1.0.0/30");
}

TEST(MergeDocuments, PutsRunsOneAfterTheOtherInARow) {
  const std::uint64_t latencies[] = {1, 2, 3, 4};
  const Json first = to_json(run_of(latencies));
  const Json second = to_json(run_of(latencies, noon + 10));
  const Json merged = merge_documents({second, first});
  EXPECT_EQ(merged["plan"]["connections"], 10);
  EXPECT_EQ(merged["started_at"], first["started_at"]);
  EXPECT_EQ(merged["duration_s"], 4) << "the pause does not count";
  EXPECT_EQ(merged["rate"]["requested_rps"], 100);
  EXPECT_EQ(merged["rate"]["achieved_rps"], 2);
  std::vector<double> times;
  for (const Json& point : merged["timeline"]) times.push_back(point["t_s"]);
  EXPECT_THAT(times, ElementsAre(1, 2, 11, 12));
}

TEST(MergeDocuments, TakesTheWorstOfWhatCannotBeAddedUp) {
  const std::uint64_t latencies[] = {1, 2, 3, 4};
  RunResult other = run_of(latencies);
  other.target = "127.0.0.1:9002";
  other.generator.valid = false;
  other.generator.reasons = {"generator: tired"};
  other.generator.lag = Lag{1, 5, 9};
  RunResult run = run_of(latencies);
  run.generator.lag = Lag{2, 4, 8};
  const Json merged = merge_documents({to_json(run), to_json(other), to_json(other)});
  EXPECT_EQ(merged["generator"]["verdict"], "INVALID");
  EXPECT_EQ(merged["generator"]["reasons"], Json({"generator: tired"}));
  EXPECT_EQ(merged["generator"]["lag"], (Json{{"p50", 2}, {"p99", 5}, {"max", 9}}));
  EXPECT_EQ(merged["target"], "127.0.0.1:9001, 127.0.0.1:9002");
  other.generator.lag.reset();
  EXPECT_TRUE(merge_documents({to_json(run), to_json(other)})["generator"]["lag"]["p99"].is_null());
}

TEST(MergeDocuments, KeepsWhatItDoesNotKnow) {
  const std::uint64_t latencies[] = {1, 2};
  Json run = to_json(run_of(latencies));
  run["new"] = {{"histogram", run["latency"]["from_send"]}, {"same", 1}};
  Json other = run;
  other["new"]["same"] = 2;
  const Json merged = merge_documents({run, other});
  EXPECT_EQ(merged["new"]["histogram"]["count"], 4);
  EXPECT_TRUE(merged["new"]["same"].is_null());
}

std::string why_not(const Json& first, const Json& second) {
  try {
    merge_documents({first, second});
  } catch (const CannotMerge& error) {
    return error.what();
  }
  return "merged";
}

TEST(MergeDocuments, GoesOnWhereACountIsNoNumber) {
  const std::uint64_t latencies[] = {1, 2};
  Json run = to_json(run_of(latencies));
  run["requests"]["completed"] = Json::object();
  EXPECT_EQ(merge_documents({run, run})["rate"]["achieved_rps"], 0);
}

TEST(MergeDocuments, RefusesWhatIsNoRunOfTheSameKind) {
  const std::uint64_t latencies[] = {1, 2};
  const Json good = to_json(run_of(latencies));
  const auto with = [&](const char* pointer, const Json& value) {
    Json json = good;
    json[Json::json_pointer(pointer)] = value;
    return why_not(good, json);
  };
  EXPECT_EQ(why_not(good, good), "merged");
  EXPECT_EQ(with("/plan/size", 65), "run 2: its size is 65, that of the first 64");
  EXPECT_EQ(with("/plan/workload", "rr"),
            "run 2: its workload is \"rr\", that of the first \"crr\"");
  EXPECT_EQ(with("/plan/new", 1), "run 2: its plan has \"new\"");
  EXPECT_EQ(with("/started_at", "now"), "run 2: its \"started_at\" is no time");
  EXPECT_EQ(with("/duration_s", -1), "run 2: its \"duration_s\" is no duration");
  EXPECT_EQ(with("/latency/from_send/hdr", nullptr),
            "run 2: \"latency/from_send\": it has no \"hdr\"");
  EXPECT_EQ(with("/timeline", 3), "run 2: its \"timeline\" is no list");
  EXPECT_EQ(with("/timeline/0/t_s", "x"), "run 2: a point of its \"timeline\" has no time");
}

}  // namespace
}  // namespace forkecho::client
