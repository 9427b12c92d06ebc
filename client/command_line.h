// The command line of forkecho: reads it, runs the subcommand, turns what goes wrong into one line
// on standard error and an exit code. Called by main.
#pragma once

namespace forkecho::client {

/// Returns the exit code of the program.
int run_command_line(int argc, const char* const* argv);

}  // namespace forkecho::client
