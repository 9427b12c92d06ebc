// The configuration file's form: lines `name = value`, in the form that CLI11 reads (its TOML/INI
// form), with the names of the long options. Comments begin with # or ;. A repeatable option stands
// on several lines, or has a list: listen = ["127.0.0.1:9001", "[::1]:9001"].
//
// Read by the command line (command_line.h), which knows the names. What CLI11's reader would
// misunderstand without a word is an error here: sections, values with a #, and addresses of IPv6
// without quotes (a bracket begins a list). Pure functions of the text; they throw nothing but
// std::bad_alloc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace forkecho::server {

struct ConfigEntry {
  unsigned line = 0;  // where it begins, from 1
  std::string name;
  std::vector<std::string> values;
};

struct ConfigText {
  std::vector<ConfigEntry> entries;
  /// What is wrong, with its line; empty when nothing is, and then the entries are complete.
  std::string error;
  unsigned error_line = 0;
};

ConfigText parse_config(std::string_view text);

}  // namespace forkecho::server
