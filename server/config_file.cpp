#include "server/config_file.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <sstream>

namespace forkecho::server {
namespace {

/// A line of the file, or the lines of one list, joined.
struct LogicalLine {
  unsigned number = 0;
  std::string text;
};

std::string without_comment(const std::string& line) {
  return CLI::detail::trim_copy(line.substr(0, line.find('#')));
}

bool is_nothing(const std::string& trimmed) {
  return trimmed.empty() || trimmed.front() == '#' || trimmed.front() == ';';
}

std::string value_in(const std::string& line) {
  const auto equals = line.find('=');
  return equals == std::string::npos ? "" : CLI::detail::trim_copy(line.substr(equals + 1));
}

/// A value that begins as a list and does not end on its line goes on (CLI11, Config.hpp).
bool is_open_list(const std::string& text) {
  const std::string value = value_in(without_comment(text));
  return !value.empty() && value.front() == '[' && value.back() != ']' &&
         value.find(']') == std::string::npos;
}

std::vector<LogicalLine> lines_of(std::string_view text) {
  std::vector<LogicalLine> lines;
  std::istringstream input{std::string(text)};
  unsigned number = 0;
  bool open = false;
  for (std::string line; std::getline(input, line);) {
    ++number;
    const std::string trimmed = CLI::detail::trim_copy(line);
    if (is_nothing(trimmed)) continue;
    if (open) {
      lines.back().text += " " + without_comment(trimmed);
    } else {
      lines.push_back({.number = number, .text = trimmed});
    }
    // The rest of a list is read as CLI11 would: until a line ends it.
    open = open ? !without_comment(trimmed).ends_with(']') : is_open_list(trimmed);
    if (open) lines.back().text = without_comment(lines.back().text);
  }
  return lines;
}

/// What CLI11 would take for something else than was meant.
std::string find_misunderstanding(const std::string& line) {
  if (line.front() == '[')
    return "sections are not used: every option stands by itself, as 'name = value'";
  if (line.find('\0') != std::string::npos) return "a NUL byte";
  const std::string value = value_in(line);
  if (!value.empty() && (value.front() == '"' || value.front() == '\'')) {
    const auto end = value.find(value.front(), 1);
    if (end == std::string::npos) return "a quote that does not end";
    if (value.find('#') < end) return "a value cannot have a #, which begins a comment";
  }
  const std::string bare = value_in(without_comment(line));
  if (!bare.empty() && bare.front() == '[' && bare.back() != ']') {
    return bare.find(']') == std::string::npos
               ? "a list that does not end"
               : "an address in brackets needs quotes: \"" + bare + "\"";
  }
  return {};
}

std::optional<ConfigEntry> read_entry(const LogicalLine& line) {
  std::istringstream input(line.text);
  const std::vector<CLI::ConfigItem> items = CLI::ConfigTOML().from_config(input);
  if (items.size() != 1 || !items[0].parents.empty() || items[0].name.empty()) return std::nullopt;
  return ConfigEntry{.line = line.number, .name = items[0].name, .values = items[0].inputs};
}

}  // namespace

ConfigText parse_config(std::string_view text) {
  ConfigText result;
  const auto fail = [&result](unsigned line, std::string error) {
    result.error_line = line;
    result.error = std::move(error);
    return result;
  };
  for (const LogicalLine& line : lines_of(text)) {
    if (std::string wrong = find_misunderstanding(line.text); !wrong.empty())
      return fail(line.number, std::move(wrong));
    auto entry = read_entry(line);
    if (!entry) return fail(line.number, "this is no 'name = value'");
    result.entries.push_back(std::move(*entry));
  }
  return result;
}

}  // namespace forkecho::server
