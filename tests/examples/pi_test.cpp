// common/mp/examples/pi.cpp
#include "tests/examples/pi_figures.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

TEST(Pi, ByOneProcessIsTheDocumentsToTheBit) {
  PROVES("4.5");
  const Shown shown = run_example("pi");
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_EQ(
      shown.matching(std::string("one process: ") + document_by_one + " in [0-9.e-]+ s").size(),
      1u);
  EXPECT_TRUE(shown.ends_with_the_document());
}

}  // namespace
}  // namespace forkecho::tests
