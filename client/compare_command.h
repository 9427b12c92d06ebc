// forkecho compare: its options, its table, its JSON and page, its exit code.
#pragma once

#include <CLI/App.hpp>

#include "client/command.h"

namespace forkecho::client {

/// Adds the subcommand and its options to `app`; when it is the one that the user names, `chosen`
/// is set.
void add_compare_command(CLI::App& app, Command& chosen);

}  // namespace forkecho::client
