// common/mp/examples/pi_by_files.cpp
#include "tests/examples/pi_figures.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

TEST(PiByFiles, ReadsTheFilesAndDeletesThem) {
  PROVES("4.6");
  const Shown shown = run_example("pi_by_files", {small_terms});
  expect_figures(shown, "ten processes, files", small_by_one, small_by_ten);
  EXPECT_EQ(shown.count("files left: 0"), 1);
  EXPECT_TRUE(shown.ends_with_the_document());
}

}  // namespace
}  // namespace forkecho::tests
