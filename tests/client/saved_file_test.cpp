#include "client/saved_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "client/command.h"
#include "client/comparison_json.h"
#include "client/run_json.h"
#include "tests/support/sample_comparison.h"
#include "tests/support/temp_dir.h"

namespace forkecho::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// What is said of a file; "" when it can be read.
std::string complaint(const std::string& path) {
  try {
    read_document(path);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

class SavedFile : public testing::Test {
 protected:
  std::string file(const std::string& content) const {
    std::ofstream(directory_.path("saved")) << content;
    return directory_.path("saved");
  }
  const tests::TempDir directory_;
};

TEST_F(SavedFile, WhatWasWrittenIsRead) {
  const auto run = to_json(sample_slice(3, 1000));
  EXPECT_EQ(read_document(file(run.dump(2) + "\n")), run);
  EXPECT_EQ(kind_of(run), "run");
  const auto comparison = to_json(sample_comparison());
  EXPECT_EQ(read_document(file(comparison.dump())), comparison);
  EXPECT_EQ(kind_of(comparison), "comparison");
}

TEST_F(SavedFile, WhatCannotBeReadIsNamed) {
  EXPECT_THAT(complaint("/nonexistent/run.json"),
              AllOf(HasSubstr("/nonexistent/run.json: "), HasSubstr("No such file")));
  EXPECT_THAT(complaint(directory_.path("")), HasSubstr("this is no JSON"));
}

TEST_F(SavedFile, WhatIsNoResultIsRefused) {
  for (const char* text : {"", "{", "nonsense", "{\"schema\":1} and more"})
    EXPECT_THAT(complaint(file(text)), HasSubstr("saved: this is no JSON")) << text;
  for (const char* text : {"{}", "[]", "1", R"({"schema":2})", R"({"schema":1})"})
    EXPECT_THAT(complaint(file(text)), HasSubstr("saved: ")) << text;
}

}  // namespace
}  // namespace forkecho::client
