// Invocation: how this program was called, kept for the day when it is called again (upgrade.h).
// main makes it first thing: later the arguments are a title, the directory another, and the file
// perhaps replaced.
#pragma once

#include <string>
#include <vector>

namespace forkecho::server {

struct Invocation {
  /// Absolute; the path by which it was called, not what a symbolic link there led to at the time:
  /// a link that is switched is a way to upgrade.
  std::string program;
  std::vector<std::string> arguments;  // argv, its name included
};

/// Where the shell found `name` (argv[0]): itself made absolute if it has a slash, else the first
/// executable file of that name in `search_path` ("/usr/bin:/bin"); empty when there is none.
std::string find_program(const std::string& name, const std::string& search_path,
                         const std::string& directory);

/// Of this process. Where argv[0] does not lead to the program that runs, /proc/self/exe does.
Invocation remember_invocation(int argc, const char* const* argv);

}  // namespace forkecho::server
