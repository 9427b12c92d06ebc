// The command line of forkechod: what is asked for, checked, or the reason why it is not
// understood.
#pragma once

#include <optional>
#include <string>

#include "server/exit_code.h"
#include "server/options.h"

namespace forkecho::server {

enum class Verb { run, start, stop, upgrade, status };

struct CommandLine {
  Verb verb = Verb::run;
  Options options;                                // run, start
  std::string control;                            // all verbs
  bool json = false;                              // status
  bool watch = false;                             // status
  sys::Duration every = std::chrono::seconds(1);  // status --watch
  bool now = false;                               // stop
  sys::Duration timeout{0};                       // stop; 0: for ever
};

/// What came of the arguments: a command, or a text to print (help, version: to standard output; an
/// error: to standard error) and the exit code to end with.
struct Parsed {
  std::optional<CommandLine> command;
  std::string text;
  ExitCode code = ExitCode::ok;
};

Parsed parse_command_line(int argc, const char* const* argv);

/// What is wrong with a combination of options, in one line; empty when nothing is.
std::string find_contradiction(const Options& options);

}  // namespace forkecho::server
