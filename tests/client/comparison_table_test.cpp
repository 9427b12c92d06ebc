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
  for (const char* figure :
       {"1,000", "900–1,100", "1.00×", "1.50 ms", "100 µs", "17", "3.00 MiB"}) {
    EXPECT_THAT(fork, HasSubstr(figure));
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
  EXPECT_THAT(table, HasSubstr("A Processor, 2 processors, 4.00 GiB memory, Linux 6.1"));
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
  comparison.designs[1].server.reset();
  EXPECT_THAT(line_of(comparison_table(comparison), "fork "), HasSubstr("–          –"));
}

}  // namespace
}  // namespace forkecho::client
