#include "client/exit_code.h"

namespace forkecho::client {

ExitCode exit_code(const RunResult& result) {
  if (result.verification.wrong() > 0) return exit_failed;
  if (!result.generator.valid) return exit_invalid;
  const bool failed = result.requests.failed.all() > 0 || result.connections.failed.all() > 0;
  return failed || result.requests.completed == 0 ? exit_failed : exit_good;
}

}  // namespace forkecho::client
