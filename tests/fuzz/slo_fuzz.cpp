// SLO terms as users write them.
#include "client/run_result.h"
#include "client/slo.h"
#include "tests/fuzz/target.h"

namespace forkecho::fuzz {

void fuzz(std::string_view input) {
  const auto term = client::Slo::parse(input);
  if (!term) return;
  require(term->text() == input, "a term is kept as it was written");
  static const client::RunResult nothing;
  term->held_by(nothing);
}

}  // namespace forkecho::fuzz
