// How values of the command line are read, and what is said when they cannot be.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "client/start_moment.h"
#include "common/sys/deadline.h"

namespace forkecho::client {

enum class Zero { allowed, refused };

/// An option whose value is a duration such as 500ms, 30s, 2m. The default is shown in the help.
CLI::Option* add_duration_option(CLI::App& command, const std::string& names,
                                 sys::Duration& destination, const std::string& description,
                                 Zero zero = Zero::allowed);

/// --start-at; `destination` stays empty where it is not given.
CLI::Option* add_start_at_option(CLI::App& command, std::optional<WallTime>& destination,
                                 const std::string& description);

/// An option that names a file to write; an empty name is refused.
CLI::Option* add_result_file_option(CLI::App& command, const std::string& names,
                                    std::string& destination, const std::string& description);

/// An option whose value is one of the names that `parse` knows; `choices` lists them: "rr, crr".
template <typename Enum>
CLI::Option* add_choice_option(CLI::App& command, const std::string& names, Enum& destination,
                               std::optional<Enum> (*parse)(std::string_view),
                               const std::string& choices, const std::string& description) {
  const auto read = [&destination, parse, names, choices](const std::string& text) {
    const auto value = parse(text);
    if (!value) throw CLI::ValidationError(names, "'" + text + "' is none of: " + choices);
    destination = *value;
  };
  return command.add_option_function<std::string>(names, read, description)
      ->type_name("{" + choices + "}")
      ->default_str(std::string(to_string(destination)));
}

}  // namespace forkecho::client
