#include "client/options.h"

#include "common/sys/duration.h"

namespace forkecho::client {

CLI::Option* add_duration_option(CLI::App& command, const std::string& names,
                                 sys::Duration& destination, const std::string& description,
                                 Zero zero) {
  const auto read = [&destination, names, zero](const std::string& text) {
    const auto value = sys::parse_duration(text);
    if (!value)
      throw CLI::ValidationError(names,
                                 "'" + text + "' is no duration; write it like 500ms, 30s or 2m");
    if (*value == sys::Duration::zero() && zero == Zero::refused) {
      throw CLI::ValidationError(names, "must be longer than 0");
    }
    destination = *value;
  };
  return command.add_option_function<std::string>(names, read, description)
      ->type_name("DURATION")
      ->default_str(sys::format_duration(destination));
}

CLI::Option* add_start_at_option(CLI::App& command, std::optional<WallTime>& destination,
                                 const std::string& description) {
  const auto read = [&destination](const std::string& text) {
    destination = parse_start_moment(text);
    if (!destination) {
      throw CLI::ValidationError("--start-at", "'" + text +
                                                   "' is no moment; write it like "
                                                   "2026-11-21T12:00:00Z (UTC) or @1795262400");
    }
  };
  return command
      .add_option_function<std::string>(
          "--start-at", read, description + ": 2026-11-21T12:00:00Z, or @SECONDS since the epoch")
      ->type_name("MOMENT");
}

CLI::Option* add_result_file_option(CLI::App& command, const std::string& names,
                                    std::string& destination, const std::string& description) {
  return command.add_option(names, destination, description)
      ->type_name("FILE")
      ->check([](const std::string& name) {
        return name.empty() ? "needs the name of a file" : std::string();
      });
}

}  // namespace forkecho::client
