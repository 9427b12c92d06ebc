#include "client/pair_comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "client/comparison_json.h"
#include "client/hdr_encoding.h"
#include "client/run_json.h"
#include "tests/support/sample_comparison.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;
using testing::Contains;
using testing::HasSubstr;

/// A run of `seconds`, with a median latency of about `median_us` microseconds and about
/// 100,000 / median_us requests a second.
Json run_of(std::size_t seconds, double median_us, unsigned seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> latency(std::log(median_us * 1000), 0.5);
  std::normal_distribution<double> requests(100'000 / median_us, 30);
  RunResult run = sample_slice(0, 0);
  run.timeline.clear();
  for (std::size_t second = 1; second <= seconds; ++second) {
    Boxed<LatencyHistogram> part;
    const int completed = static_cast<int>(requests(random));
    for (int i = 0; i < completed; ++i) part->record(static_cast<std::uint64_t>(latency(random)));
    run.from_intended->merge(*part);
    run.timeline.push_back({.t_s = static_cast<double>(second),
                            .completed = part->count(),
                            .errors = 0,
                            .p50_ns = part->value_at_quantile(0.5),
                            .p99_ns = part->value_at_quantile(0.99),
                            .hdr = encode_hdr(to_hdr(*part))});
  }
  run.duration_s = static_cast<double>(seconds);
  run.achieved_rps = static_cast<double>(run.from_intended->count()) / run.duration_s;
  run.requests.completed = run.from_intended->count();
  return to_json(run);
}

const PairFigure& figure(const PairComparison& pair, const std::string& name) {
  return *std::ranges::find(pair.figures, name, &PairFigure::name);
}

TEST(CompareDocuments, SeesNoDifferenceBetweenTwoRunsOfTheSame) {
  int claimed = 0;
  for (unsigned i = 0; i < 20; ++i) {
    const auto pair = compare_documents(run_of(20, 100, 2 * i), run_of(20, 100, 2 * i + 1));
    claimed += figure(pair, "p50").difference() != Difference::none;
  }
  EXPECT_LE(claimed, 1);
}

TEST(CompareDocuments, FindsATenth) {
  const auto pair = compare_documents(run_of(20, 100, 1), run_of(20, 110, 2));
  EXPECT_EQ(figure(pair, "rate").difference(), Difference::less);
  EXPECT_EQ(figure(pair, "p50").difference(), Difference::more);
  EXPECT_NEAR(*figure(pair, "p50").ratio, 1.1, 0.02);
  EXPECT_LT(figure(pair, "p50").interval->low, *figure(pair, "p50").ratio);
  EXPECT_GT(figure(pair, "p50").interval->high, *figure(pair, "p50").ratio);
}

TEST(CompareDocuments, SaysNothingOfRunsThatAreTooShort) {
  const auto pair = compare_documents(run_of(7, 100, 1), run_of(20, 200, 2));
  EXPECT_EQ(figure(pair, "p50").difference(), Difference::unknown);
  EXPECT_THAT(pair.notes, Contains("an interval needs runs of at least 8 s"));
}

TEST(CompareDocuments, ComparesDesignByDesign) {
  Comparison first = sample_comparison();
  Comparison second = first;
  first.designs = {sample_design("fork", 1000, 1010, 0.1, 4),
                   sample_design("event", 2000, 2010, 0.1, 4)};
  second.designs = {sample_design("event", 1800, 1810, 0.1, 4),
                    sample_design("fork", 1010, 1000, 0.1, 4)};
  const auto pair = compare_documents(to_json(first), to_json(second));
  EXPECT_EQ(figure(pair, "fork").difference(), Difference::none);
  EXPECT_EQ(figure(pair, "event").difference(), Difference::less);
}

std::string why_not(const Json& a, const Json& b) {
  try {
    compare_documents(a, b);
  } catch (const CannotCompare& error) {
    return error.what();
  }
  return "compared";
}

TEST(CompareDocuments, RefusesOtherSettings) {
  const Json run = run_of(9, 100, 1);
  const Json comparison = to_json(sample_comparison());
  const auto with = [&](const char* pointer, const Json& value) {
    Json json = run;
    json[Json::json_pointer(pointer)] = value;
    return why_not(run, json);
  };
  EXPECT_EQ(why_not(run, run), "compared");
  EXPECT_EQ(why_not(comparison, comparison), "compared");
  EXPECT_EQ(with("/plan/size", 65),
            "their settings differ: size is 64 in the first and 65 in the second");
  EXPECT_EQ(with("/plan/new", true),
            "their settings differ: new is null in the first and true in the second");
  EXPECT_EQ(with("/timeline/3/hdr", nullptr),
            "a point of the second timeline was saved without its latencies");
  EXPECT_EQ(with("/timeline/3/t_s", nullptr), "a point of the second timeline is not whole");
  EXPECT_EQ(why_not(run, comparison), "they are results of different kinds");
}

TEST(CompareDocuments, TellsWhatIsInTheWay) {
  Json run = run_of(9, 100, 1);
  run["generator"]["verdict"] = "INVALID";
  run["verification"]["extra"] = 3;
  run["requests"]["failed"]["reset"] = 2;
  run["machine"]["processors"] = 64;
  const auto pair = compare_documents(run_of(9, 100, 1), run);
  EXPECT_THAT(pair.notes, Contains("the second is INVALID"));
  EXPECT_THAT(pair.notes, Contains("the second has 3 wrong replies"));
  EXPECT_THAT(pair.notes, Contains("the second has 2 failed requests"));
  EXPECT_THAT(pair.notes, Contains("they were measured on different machines"));
  EXPECT_EQ(exit_code(pair), exit_failed);
  EXPECT_EQ(exit_code({.invalid = true}), exit_invalid);
  EXPECT_EQ(exit_code(PairComparison{}), exit_good);
}

TEST(PairTable, SaysWhatMayBeSaid) {
  const auto pair = compare_documents(run_of(20, 100, 1), run_of(20, 150, 2));
  const std::string table = pair_table(pair, "one.json", "two.json");
  EXPECT_THAT(table, HasSubstr("A  one.json\nB  two.json\n"));
  EXPECT_THAT(table, testing::ContainsRegex("\np50 .*× .*B is slower\n"));
  EXPECT_THAT(table, testing::ContainsRegex("\nrate .*/s .*B does less\n"));
  EXPECT_THAT(pair_table(compare_documents(run_of(20, 100, 1), run_of(20, 100, 1)), "a", "b"),
              testing::ContainsRegex("p99 .*no difference\n"));
}

TEST(PairJson, HasEveryFigure) {
  const auto pair = compare_documents(run_of(20, 100, 1), run_of(20, 150, 2));
  const Json json = to_json(pair, "one.json", "two.json");
  EXPECT_EQ(json["kind"], "pair");
  EXPECT_EQ(json["b"]["name"], "two.json");
  EXPECT_EQ(json["figures"][1]["name"], "p50");
  EXPECT_EQ(json["figures"][1]["difference"], "more");
  EXPECT_GT(json["figures"][1]["interval"]["low"], 1.0);
}

}  // namespace
}  // namespace forkecho::client
