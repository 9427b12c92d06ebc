#include "client/search_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/sample_comparison.h"

namespace forkecho::client {
namespace {

using testing::HasSubstr;

std::vector<Slo> terms(std::initializer_list<const char*> texts) {
  std::vector<Slo> parsed;
  for (const char* text : texts) parsed.push_back(Slo::parse(text).value());
  return parsed;
}

/// A server of known limit: beyond it everything waits a second.
RunResult at(double rps, double limit) {
  RunResult run = sample_slice(100, rps <= limit ? 1'000'000 : 1'000'000'000);
  run.requested_rps = rps;
  run.achieved_rps = std::min(rps, limit);
  run.target = std::to_string(rps);
  return run;
}

SearchResult search_of(double limit) {
  return run_search({}, terms({"p99<5ms"}), [=](double rps) { return at(rps, limit); }, {});
}

TEST(RunSearch, FindsTheLimitWithin5Percent) {
  const SearchResult search = search_of(4321);
  EXPECT_EQ(search.end, SearchEnd::found);
  EXPECT_NEAR(*search.highest_holding, 4321, 4321 * 0.05);
  EXPECT_GT(*search.lowest_failing, 4321);
  EXPECT_EQ(exit_code(search), exit_good);
}

TEST(RunSearch, KeepsTheRunThatHeldBest) {
  const SearchResult search = search_of(4321);
  ASSERT_TRUE(search.best);
  EXPECT_EQ(search.best->requested_rps, search.highest_holding);
}

TEST(RunSearch, StopsWhenARunIsInterrupted) {
  int runs = 0;
  const SearchResult search = run_search({}, terms({"p99<5ms"}),
                                         [&](double rps) {
                                           RunResult run = at(rps, 1e9);
                                           run.interrupted = ++runs == 4;
                                           return run;
                                         },
                                         {});
  EXPECT_EQ(runs, 4);
  EXPECT_FALSE(search.end);
  EXPECT_EQ(search.repeats.size(), 3U);
  EXPECT_THAT(search_table(search), HasSubstr("interrupted"));
}

TEST(RunSearch, TellsEachMeasurement) {
  std::size_t told = 0;
  const SearchResult search = run_search(
      {}, terms({"p99<5ms"}), [](double rps) { return at(rps, 700); },
      [&](const SearchRepeat&) { ++told; });
  EXPECT_EQ(told, search.repeats.size());
}

TEST(JudgeTrial, WantsEveryTermAndRightReplies) {
  const auto both = terms({"p99<5ms", "errors<0.1%"});
  RunResult run = at(10, 100);
  run.requests.scheduled = 100;
  EXPECT_TRUE(judge_trial(10, run, both).holds);
  run.verification.mismatched = 1;
  EXPECT_FALSE(judge_trial(10, run, both).holds);
  run.verification.mismatched = 0;
  run.requests.failed.reset = 1;
  EXPECT_FALSE(judge_trial(10, run, both).holds);
}

TEST(JudgeTrial, TakesAReasonOfTheServerForAFailure) {
  RunResult run = at(10, 100);
  run.generator.reasons = {"server: it did not keep up"};
  EXPECT_FALSE(judge_trial(10, run, terms({"p99<5ms"})).holds);
  EXPECT_FALSE(judge_trial(10, run, terms({"p99<5ms"})).invalid);
  run.generator.reasons = {"generator: tired"};
  run.generator.valid = false;
  EXPECT_TRUE(judge_trial(10, run, terms({"p99<5ms"})).invalid);
}

TEST(SearchTable, PrintsTheCurveByRateAndTheAnswer) {
  const std::string table = search_table(search_of(1500));
  EXPECT_LT(table.find("1,000      2/2"), table.find("2,000      0/2"));
  EXPECT_THAT(table, HasSubstr("The highest rate that holds p99<5ms: 1,4"));
  EXPECT_THAT(table, HasSubstr(" does not.\n"));
}

TEST(SearchTable, SaysWhatItCouldNotFind) {
  EXPECT_THAT(search_table(search_of(0)), HasSubstr("No rate that was tried holds p99<5ms.\n"));
  EXPECT_EQ(exit_code(search_of(0)), exit_failed);
  const SearchResult limited = run_search({}, terms({"p99<5ms"}),
                                          [](double rps) {
                                            RunResult run = at(rps, 1e9);
                                            run.generator.valid = rps < 3000;
                                            return run;
                                          },
                                          {});
  EXPECT_THAT(search_table(limited), HasSubstr("more than this generator can make: INVALID."));
  EXPECT_EQ(exit_code(limited), exit_invalid);
}

TEST(SearchTable, SaysThatTheGeneratorCouldDoNothing) {
  const SearchResult search = run_search({}, terms({"p99<5ms"}),
                                         [](double rps) {
                                           RunResult run = at(rps, 1e9);
                                           run.generator.valid = false;
                                           return run;
                                         },
                                         {});
  EXPECT_THAT(search_table(search), HasSubstr("Nothing can be said: "));
  EXPECT_EQ(exit_code(search), exit_invalid);
}

TEST(SearchJson, HasEveryRepeatOfEveryStep) {
  const SearchResult search = search_of(1500);
  const auto json = to_json(search);
  EXPECT_EQ(json["kind"], "search");
  EXPECT_EQ(json["end"], "found");
  EXPECT_EQ(json["slo"], nlohmann::ordered_json({"p99<5ms"}));
  std::size_t repeats = 0;
  for (const auto& step : json["steps"]) repeats += step["repeats"].size();
  EXPECT_EQ(repeats, search.repeats.size());
  EXPECT_EQ(json["steps"][0]["rps"], 1000);
  EXPECT_EQ(json["steps"][0]["repeats"][0]["slo"][0]["held"], true);
  EXPECT_EQ(json["best"]["rate"]["requested_rps"], json["highest_holding_rps"]);
}

}  // namespace
}  // namespace forkecho::client
