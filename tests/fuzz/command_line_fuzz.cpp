// Arguments of forkechod, one a line.
#include "server/command_line.h"
#include "server/contradiction.h"

#include <string>
#include <vector>

#include "tests/fuzz/target.h"

namespace forkecho::fuzz {
namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    lines.emplace_back(line.substr(0, line.find('\0')));  // as execve hands arguments over
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return lines;
}

}  // namespace

void fuzz(std::string_view input) {
  const std::vector<std::string> lines = lines_of(input);
  std::vector<const char*> arguments{"forkechod"};
  for (const std::string& line : lines) arguments.push_back(line.c_str());
  const auto parsed =
      server::parse_command_line(static_cast<int>(arguments.size()), arguments.data());
  require(parsed.command.has_value() == parsed.text.empty(), "there is a command, or a text");
  if (parsed.command) {
    require(find_contradiction(parsed.command->options).empty(), "a command is no contradiction");
  } else if (parsed.code != server::ExitCode::ok) {
    require(parsed.text.find('\n') == parsed.text.size() - 1, "an error is one line");
  }
}

}  // namespace forkecho::fuzz
