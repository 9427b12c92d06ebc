#include "client/comparison_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/figures.h"
#include "tests/support/sample_comparison.h"

namespace forkecho::client {
namespace {

using testing::HasSubstr;

std::string line_of(const std::string& text, const std::string& start) {
  const std::size_t at = text.find("\n" + start);
  return at == text.npos ? "" : text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

TEST(ComparisonTable, HasALineForEachDesign) {
  const std::string table = comparison_table(sample_comparison());
  const std::string fork = line_of(table, "fork ");
  for (const char* figure : {"1,000", "900–1,100", "1.00×", "1.50 ms"}) {
    EXPECT_THAT(fork, HasSubstr(figure));
  }
  const std::string costs = line_of(table.substr(table.find("CPU/connection")), "fork ");
  for (const char* figure : {"100 µs", "17", "3.00 MiB", "102 KiB", "0.50", "3.00", "0.75"}) {
    EXPECT_THAT(costs, HasSubstr(figure));
  }
  EXPECT_THAT(line_of(table, "pool-shared "), HasSubstr("2.00×"));
}

TEST(ComparisonTable, SaysWhatIsNotApplicableAndWhy) {
  const std::string table = comparison_table(sample_comparison());
  EXPECT_THAT(line_of(table, "iterative  "), HasSubstr("not applicable"));
  EXPECT_THAT(table,
              HasSubstr("iterative is not applicable: it serves one connection at a time.\n"));
}

TEST(ComparisonTable, NamesTheMachineAndTheLimitOfOne) {
  const std::string table = comparison_table(sample_comparison());
  EXPECT_THAT(table, HasSubstr("2 × A Processor, 4.00 GiB of memory, Linux 6.1"));
  EXPECT_THAT(table,
              HasSubstr("On one machine the figure is the pair's capacity, not the server's."));
}

TEST(ComparisonTable, AlignsItsColumns) {
  const std::string table = comparison_table(sample_comparison());
  EXPECT_EQ(display_width(line_of(table, "fork ")), display_width(line_of(table, "design ")));
  EXPECT_EQ(display_width(line_of(table, "event ")), display_width(line_of(table, "design ")));
}

TEST(ComparisonTable, TellsFailedFromWrong) {
  Comparison comparison = sample_comparison();
  comparison.designs[1].run.requests.failed.timeout = 2;
  comparison.designs[1].run.verification.cut_short = 1;
  comparison.designs[2].run.verification.extra = 4;
  const std::string table = comparison_table(comparison);
  EXPECT_THAT(line_of(table, "fork "), testing::EndsWith("2 failed, 1 wrong"));
  EXPECT_THAT(line_of(table, "pool-shared "), testing::EndsWith("  4 wrong"));
}

TEST(ComparisonTable, SaysWhereNothingWasMeasured) {
  Comparison comparison = sample_comparison();
  comparison.designs[1].server->fairness.reset();
  const std::string table = comparison_table(comparison);
  const std::string costs = table.substr(table.find("CPU/connection"));
  EXPECT_THAT(line_of(costs, "fork "), testing::EndsWith(" –"));
  for (auto& design : comparison.designs) design.server.reset();
  EXPECT_THAT(comparison_table(comparison), testing::Not(HasSubstr("CPU/connection")));
}

TEST(ComparisonTable, GivesTheIntervalOfARatioOrNoDifference) {
  Comparison comparison = sample_comparison();
  EXPECT_THAT(line_of(comparison_table(comparison), "event "), HasSubstr("too few rounds"));
  comparison.designs = {sample_design("fork", 900, 1100, 0.1, 4),
                        sample_design("pool-shared", 1100, 900, 0.1, 4),
                        sample_design("event", 1800, 2300, 0.1, 4)};
  relate_to_baseline(comparison);
  const std::string table = comparison_table(comparison);
  EXPECT_THAT(line_of(table, "fork "), HasSubstr("×  "));
  EXPECT_THAT(line_of(table, "pool-shared "), HasSubstr("no difference, 0.82–1.22"));
  EXPECT_THAT(line_of(table, "event "), HasSubstr("  2.00–2.09"));
}

}  // namespace
}  // namespace forkecho::client
