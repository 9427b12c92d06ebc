// Command: what the command line came down to: the one thing to do, and the exit code of having
// done it. Each subcommand has a source file of its own that adds its options to the parser;
// command_line.cpp lists them.
#pragma once

#include <functional>
#include <stdexcept>

namespace CLI {
class App;
}

namespace forkecho::client {

/// Does what a subcommand was asked for; returns the exit code. An exception out of it becomes one
/// line on standard error and an exit code (command_line.h).
using Command = std::function<int()>;

/// Options that contradict each other or ask for what cannot be: one clear line with the remedy,
/// exit code 64. Thrown by a Command before it does anything.
class UsageError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

}  // namespace forkecho::client
