// The exit codes of forkechod, and the error that carries one to main.
#pragma once

#include <stdexcept>
#include <string>

namespace forkecho::server {

/// After BSD's sysexits.h.
enum class ExitCode : int {
  ok = 0,
  usage = 64,
  unavailable = 69,  // cannot listen, or no daemon answers
  bug = 70,
  system = 71,
  config = 78,
};

/// What ends the program, said in one line that is fit for the user.
class FatalError : public std::runtime_error {
 public:
  FatalError(ExitCode code, const std::string& line) : std::runtime_error(line), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace forkecho::server
