// Programs that the client starts: forkechod as a server under test, and to ask or stop one.
//
// Not safe between threads (it forks). For the process that calls only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "client/processor_pins.h"
#include "common/mp/process.h"
#include "common/sys/deadline.h"

namespace forkecho::client {

struct ProgramResult {
  std::optional<int> exitcode;  // empty: killed, because the deadline passed
  std::string output;           // of its standard output
};

/// Runs argv[0] (a path; nothing is searched) until it ends; its standard error is thrown away.
/// Throws std::system_error when the system refuses a process. A program that cannot be executed
/// has exit code 127.
ProgramResult run_program(const std::vector<std::string>& argv, sys::Deadline deadline);

/// A Process, not started yet, that becomes the program `argv`: it dies with the caller, ignores
/// the terminal's Ctrl-C (a process group of its own), writes what it says to `log`, and runs on
/// `processors` alone, if there are any.
mp::Process background_program(const std::vector<std::string>& argv,
                               const std::filesystem::path& log, const Processors& processors = {});

/// `name` in the folder of the running program, else in PATH; empty when it is in neither.
std::optional<std::filesystem::path> find_program(const std::string& name);

/// The first folder of `path` (as in the variable PATH) that holds an executable `name`.
std::optional<std::filesystem::path> search_path(const std::string& path, const std::string& name);

}  // namespace forkecho::client
