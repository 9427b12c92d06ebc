// common/mp/examples/standard_input.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST(StandardInput, IsAtItsEndUnlessAChildIsGivenItsParents) {
  PROVES("0.10");
  const TempDir directory;
  write_file(directory.path("input"), "hello\n");
  ProgramOptions options;
  options.input = directory.path("input");
  const Shown shown = run_example("standard_input", {}, options);
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_THAT(shown.lines, ElementsAre("Process-1 is at end of file", "Process-2 reads 'hello'",
                                       StartsWith("The document: ")));
}

}  // namespace
}  // namespace forkecho::tests
