// forkecho search: the highest rate that keeps every --slo.
#pragma once

#include <CLI/App.hpp>

#include "client/command.h"

namespace forkecho::client {

/// Adds the subcommand and its options to `app`; when it is the one that the user names, `chosen`
/// is set.
void add_search_command(CLI::App& app, Command& chosen);

}  // namespace forkecho::client
