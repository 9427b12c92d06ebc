// The command line of forkechod, and the configuration file that it may name: what is asked for,
// checked, or the reason why it is not understood.
//
// A configuration file (config_file.h) has the same names as the options; what the command line
// says wins. What is wrong with the file is an error of its own (ExitCode::config) that names the
// line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/exit_code.h"
#include "server/options.h"

namespace forkecho::server {

enum class Verb { run, start, stop, upgrade, status, check, reload, reopen_logs };

struct CommandLine {
  Verb verb = Verb::run;
  Options options;                                // run, start, check
  std::string control;                            // all verbs
  bool json = false;                              // status
  bool watch = false;                             // status
  sys::Duration every = std::chrono::seconds(1);  // status --watch
  bool now = false;                               // stop
  sys::Duration timeout{0};                       // stop; 0: for ever
  std::string config;                             // path of the configuration file; empty: none
  /// Options (without their dashes) that the file has said.
  std::vector<std::string> from_config;
  /// The whole command line, to read it again for a reload.
  std::vector<std::string> arguments;
};

/// What came of the arguments: a command, or a text to print (help, version: to standard output; an
/// error: to standard error) and the exit code to end with.
struct Parsed {
  std::optional<CommandLine> command;
  std::string text;
  ExitCode code = ExitCode::ok;
};

/// Reads the configuration file that is named there, if any. Throws nothing but std::bad_alloc.
Parsed parse_command_line(int argc, const char* const* argv);
Parsed parse_command_line(const std::vector<std::string>& arguments);

}  // namespace forkecho::server
