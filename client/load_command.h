// forkecho load: the options of a run, its summary, its JSON, its exit code.
#pragma once

#include <CLI/App.hpp>
#include <vector>

#include "client/command.h"
#include "client/load_plan.h"
#include "client/slo.h"

namespace forkecho::client {

/// Adds the subcommand and its options to `app`; when it is the one that the user names, `chosen`
/// is set.
void add_load_command(CLI::App& app, Command& chosen);

/// Throws UsageError when a plan for servers that are there already says where one is to run.
void refuse_pinned_server(const LoadPlan& plan);

/// The options that make a LoadPlan, but for the target, added to `command` with `plan` as default
/// and destination; for load and for those that run loads themselves. `plan` must outlive
/// `command`.
void add_plan_options(CLI::App& command, LoadPlan& plan);

/// --slo, repeatable. `destination` must outlive `command`.
void add_slo_option(CLI::App& command, std::vector<Slo>& destination);

}  // namespace forkecho::client
