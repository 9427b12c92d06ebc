// common/mp/examples/pi_by_pipes.cpp
#include "tests/examples/pi_figures.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

constexpr char who[] = "ten processes, pipes";

TEST(PiByPipes, IsTheDocumentsToTheBit) {
  PROVES("4.6");
  const Shown shown = run_example("pi_by_pipes");
  expect_figures(shown, who, document_by_one, document_by_ten);
  EXPECT_TRUE(shown.ends_with_the_document());
}

TEST(PiByPipes, AddsInTheSlicesOrder) {
  PROVES("4.6");
  expect_figures(run_example("pi_by_pipes", {small_terms}), who, small_by_one, small_by_ten);
}

TEST(PiByPipes, LosesNoTermWhereTheDocumentDoes) {
  expect_figures(run_example("pi_by_pipes", {"3"}), who, "3.0346151137976114",
                 "3.0346151137976114");
}

}  // namespace
}  // namespace forkecho::tests
