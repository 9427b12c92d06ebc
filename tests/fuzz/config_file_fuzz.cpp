// A configuration file of arbitrary bytes: its form alone, and then whole, as `forkechod check`
// reads it.
#include "server/config_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "server/command_line.h"
#include "server/contradiction.h"
#include "tests/fuzz/target.h"

namespace forkecho::fuzz {
namespace {

/// A file in memory, at a path of its own.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content)
      : fd_(sys::check_syscall(memfd_create("config", MFD_CLOEXEC), "memfd_create")) {
    require(
        write(fd_.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()),
        "a file in memory takes the input");
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  sys::Descriptor fd_;
};

server::Parsed check(const std::string& path) {
  const char* const arguments[] = {"forkechod", "check", "--config", path.c_str()};
  return server::parse_command_line(std::size(arguments), arguments);
}

}  // namespace

void fuzz(std::string_view input) {
  const auto lines = static_cast<unsigned>(std::ranges::count(input, '\n')) + 1;
  const server::ConfigText text = server::parse_config(input);
  require(text.error.find('\n') == std::string::npos, "an error is one line");
  require(text.error.empty() || (text.error_line >= 1 && text.error_line <= lines),
          "an error is in a line of the file");
  for (const server::ConfigEntry& entry : text.entries) {
    require(!entry.name.empty(), "every entry has a name");
    require(entry.line >= 1 && entry.line <= lines, "every entry is in a line of the file");
  }

  const MemoryFile file(input);
  const server::Parsed parsed = check(file.path());
  require(parsed.command.has_value() == parsed.text.empty(), "there is a command, or a text");
  if (parsed.command) {
    require(text.error.empty(), "a file that is wrong is refused");
    require(find_contradiction(parsed.command->options).empty(), "a command is no contradiction");
  } else {
    require(parsed.text.find('\n') == parsed.text.size() - 1, "an error is one line");
    require(parsed.code == server::ExitCode::config, "and the configuration's");
  }
}

}  // namespace forkecho::fuzz
