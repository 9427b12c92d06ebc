#include "client/result_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <system_error>

#include "client/command.h"
#include "client/interval_log.h"
#include "client/run_json.h"
#include "tests/support/child.h"
#include "tests/support/sample_comparison.h"
#include "tests/support/temp_dir.h"

namespace forkecho::client {
namespace {

using testing::HasSubstr;
using tests::content_of;

TEST(CheckResultFiles, TakesDifferentOnesAndNone) {
  const tests::TempDir directory;
  check_result_files(std::vector<std::string>{});
  check_result_files(std::vector<std::string>{"", ""});
  check_result_files(std::vector<std::string>{directory.path("a"), "", directory.path("b"), "-"});
}

TEST(CheckResultFiles, RefusesTheSameTwice) {
  const tests::TempDir directory;
  for (const std::string& name : {std::string("-"), directory.path("a")}) {
    const std::vector<std::string> names{name, "", name};
    EXPECT_THROW(check_result_files(names), UsageError) << name;
  }
}

TEST(CheckResultFiles, SaysBeforeTheRunWhatCannotBeWrittenAfterIt) {
  EXPECT_THROW(check_result_files(std::vector<std::string>{"/nonexistent/run.json"}),
               std::system_error);
}

TEST(ResultFiles, EachHoldsTheRunInItsForm) {
  const tests::TempDir directory;
  const ResultFiles files{.json = directory.path("run.json"),
                          .csv = directory.path("run.csv"),
                          .hdr = directory.path("run.hlog"),
                          .hgrm = directory.path("run.hgrm"),
                          .html = directory.path("run.html")};
  const RunResult run = sample_slice(50, 1000);
  files.check();
  EXPECT_FALSE(files.take_standard_output());
  files.write(run);
  EXPECT_EQ(nlohmann::ordered_json::parse(content_of(files.json)), to_json(run));
  EXPECT_THAT(content_of(files.csv), HasSubstr("completed"));
  EXPECT_EQ(read_interval_log(content_of(files.hdr)).error, "");
  EXPECT_THAT(content_of(files.hgrm), HasSubstr("Percentile"));
  EXPECT_THAT(content_of(files.html), HasSubstr("</html>"));
}

TEST(ResultFiles, OnlyThoseThatWereNamedAreWritten) {
  const tests::TempDir directory;
  const ResultFiles files{
      .json = {}, .csv = directory.path("run.csv"), .hdr = {}, .hgrm = {}, .html = {}};
  files.write(sample_slice(1, 1000));
  EXPECT_NE(content_of(files.csv), "");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path("")), {}), 1);
}

TEST(ResultFiles, OneThatGoesToStandardOutputTakesIt) {
  const ResultFiles files{.json = {}, .csv = {}, .hdr = {}, .hgrm = "-", .html = {}};
  EXPECT_TRUE(files.take_standard_output());
  EXPECT_FALSE(ResultFiles().take_standard_output());
}

}  // namespace
}  // namespace forkecho::client
