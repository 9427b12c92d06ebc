#include "server/invocation.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

namespace forkecho::server {
namespace {

constexpr const char* running_program = "/proc/self/exe";

std::string absolute(const std::string& path, const std::string& directory) {
  return path.starts_with('/') ? path : directory + "/" + path;
}

bool is_executable_file(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

bool is_this_program(const std::string& path) {
  struct stat named {};
  struct stat running {};
  return stat(path.c_str(), &named) == 0 && stat(running_program, &running) == 0 &&
         named.st_dev == running.st_dev && named.st_ino == running.st_ino;
}

std::string working_directory() {
  std::error_code ignored;
  return std::filesystem::current_path(ignored).string();
}

}  // namespace

std::string find_program(const std::string& name, const std::string& search_path,
                         const std::string& directory) {
  if (name.find('/') != std::string::npos) return absolute(name, directory);
  std::string_view rest = search_path;
  while (!rest.empty()) {
    const auto end = rest.find(':');
    const std::string folder(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    // An empty entry is the working directory.
    const std::string path = absolute(folder.empty() ? name : folder + "/" + name, directory);
    if (is_executable_file(path)) return path;
  }
  return {};
}

Invocation remember_invocation(int argc, const char* const* argv) {
  Invocation invocation{.program = {}, .arguments = {argv, argv + argc}};
  const char* search_path = std::getenv("PATH");
  if (argc > 0) {
    invocation.program =
        find_program(argv[0], search_path == nullptr ? "" : search_path, working_directory());
  }
  if (invocation.program.empty() || !is_this_program(invocation.program)) {
    std::error_code ignored;
    invocation.program = std::filesystem::read_symlink(running_program, ignored).string();
  }
  return invocation;
}

}  // namespace forkecho::server
