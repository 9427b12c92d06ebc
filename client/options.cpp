#include "client/options.h"

#include "common/sys/duration.h"

namespace forkecho::client {

CLI::Option* add_duration_option(CLI::App& command, const std::string& names,
                                 sys::Duration& destination, const std::string& description) {
  const auto read = [&destination, names](const std::string& text) {
    const auto value = sys::parse_duration(text);
    if (!value)
      throw CLI::ValidationError(names,
                                 "'" + text + "' is no duration; write it like 500ms, 30s or 2m");
    destination = *value;
  };
  return command.add_option_function<std::string>(names, read, description)
      ->type_name("DURATION")
      ->default_str(sys::format_duration(destination));
}

}  // namespace forkecho::client
