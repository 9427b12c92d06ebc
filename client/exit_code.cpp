#include "client/exit_code.h"

#include <algorithm>

namespace forkecho::client {
namespace {

bool errors_are_allowed(const RunResult& result) {
  return std::any_of(result.slos.begin(), result.slos.end(), [](const SloOutcome& outcome) {
    return outcome.term.figure() == Slo::Figure::errors;
  });
}

}  // namespace

ExitCode exit_code(const RunResult& result) {
  if (result.verification.wrong() > 0) return exit_failed;
  if (!result.generator.valid) return exit_invalid;
  for (const SloOutcome& outcome : result.slos) {
    if (!outcome.held) return exit_failed;
  }
  const bool failed = result.requests.failed.all() > 0 || result.connections.failed.all() > 0;
  if (failed && !errors_are_allowed(result)) return exit_failed;
  return result.requests.completed == 0 ? exit_failed : exit_good;
}

}  // namespace forkecho::client
