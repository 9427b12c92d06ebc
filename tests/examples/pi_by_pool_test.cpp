// common/mp/examples/pi_by_pool.cpp
#include "tests/examples/pi_figures.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

TEST(PiByPool, AddsInTheSlicesOrder) {
  PROVES("4.6");
  expect_figures(run_example("pi_by_pool", {small_terms}), "a pool of ten", small_by_one,
                 small_by_ten);
}

}  // namespace
}  // namespace forkecho::tests
