#include "client/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <system_error>

#include "client/command.h"
#include "client/compare_command.h"
#include "client/connect_command.h"
#include "client/exit_code.h"
#include "client/load.h"
#include "client/load_command.h"
#include "client/merge_command.h"
#include "client/report_command.h"
#include "client/search_command.h"
#include "client/server_under_test.h"

namespace forkecho::client {
namespace {

/// Every subcommand; a new one is added here.
void add_commands(CLI::App& app, Command& chosen) {
  add_connect_command(app, chosen);
  add_load_command(app, chosen);
  add_search_command(app, chosen);
  add_compare_command(app, chosen);
  add_merge_command(app, chosen);
  add_report_command(app, chosen);
}

int complain(const std::string& what, int code) {
  std::fprintf(stderr, "forkecho: %s\n", what.c_str());
  return code;
}

/// The subcommand that the user named, for a remedy that fits.
std::string named_command(const CLI::App& app) {
  const auto named = app.get_subcommands();
  return named.empty() ? "forkecho" : "forkecho " + named.front()->get_name();
}

int refuse(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
    return app.exit(error);  // help, version
  std::string what = error.what();
  if (const auto end = what.find('\n'); end != std::string::npos) what.resize(end);
  return complain(what + "; see " + named_command(app) + " --help", exit_usage);
}

int execute(const Command& command) {
  try {
    return command();
  } catch (const NothingAnswered& error) {
    return complain(error.what(), exit_nothing_answered);
  } catch (const ServerCannotStart& error) {
    return complain(error.what(), exit_nothing_answered);
  } catch (const MalformedTarget& error) {
    return complain(error.what(), exit_usage);
  } catch (const ImpossiblePlan& error) {
    return complain(error.what(), exit_usage);
  } catch (const UsageError& error) {
    return complain(error.what(), exit_usage);
  } catch (const std::system_error& error) {
    return complain(error.what(), exit_system);
  } catch (const std::exception& error) {
    return complain(std::string("a bug: ") + error.what(), exit_bug);
  }
}

/// What is on its way to standard output must have arrived, or the run has told nobody.
int flushed(int code) {
  if (std::fflush(stdout) == 0 || code != exit_good) return code;
  return complain("cannot write standard output", exit_system);
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that has gone is an error to be told, not a death
  CLI::App app("A load generator and client for echo servers that tells what it saw", "forkecho");
  app.set_version_flag("--version", std::string("forkecho ") + FORKECHO_VERSION);
  app.require_subcommand(1);
  Command chosen;
  add_commands(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return flushed(refuse(app, error));
  }
  return flushed(execute(chosen));
}

}  // namespace forkecho::client
