// ResultFiles: the files that a run is written to, as the options of a command name them. Used by
// load; "-" is standard output, to which then nothing else is printed.
#pragma once

#include <CLI/App.hpp>
#include <span>
#include <string>

#include "client/run_result.h"

namespace forkecho::client {

/// Before a long run: throws std::system_error for a file that could not be written now, UsageError
/// when two are the same. Empty names are none.
void check_result_files(std::span<const std::string> names);

struct ResultFiles {
  std::string json;
  std::string csv;
  std::string hdr;
  std::string hgrm;
  std::string html;

  /// "{host}" in a name becomes this host's (common/sys/host_name.h).
  void fill_in_host();
  /// See check_result_files.
  void check() const;
  /// Whether one of them goes to standard output.
  bool take_standard_output() const;
  /// Writes each that was named. Throws std::system_error.
  void write(const RunResult& result) const;
};

/// --json, --csv, --hdr, --hgrm and --html. `files` must outlive `command`.
void add_result_files_options(CLI::App& command, ResultFiles& files);

}  // namespace forkecho::client
