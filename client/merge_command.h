// forkecho merge: several saved runs, or interval logs, as one.
#pragma once

#include <CLI/App.hpp>

#include "client/command.h"

namespace forkecho::client {

/// Adds the subcommand and its options to `app`; when it is the one that the user names, `chosen`
/// is set.
void add_merge_command(CLI::App& app, Command& chosen);

}  // namespace forkecho::client
