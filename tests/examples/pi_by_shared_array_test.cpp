// common/mp/examples/pi_by_shared_array.cpp
#include "tests/examples/pi_figures.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

TEST(PiBySharedArray, AddsInTheSlicesOrder) {
  PROVES("4.6");
  expect_figures(run_example("pi_by_shared_array", {small_terms}), "ten processes, a shared array",
                 small_by_one, small_by_ten);
}

}  // namespace
}  // namespace forkecho::tests
