#include "server/socket_activation.h"

#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "common/sys/descriptor.h"
#include "server/exit_code.h"

namespace forkecho::server {
namespace {

/// Where the passed descriptors begin (SD_LISTEN_FDS_START).
constexpr int first_passed = 3;
constexpr const char* unnamed = "unknown";

std::optional<long> parse_number(std::string_view text) {
  long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

[[noreturn]] void refuse(const std::string& line) {
  throw FatalError(ExitCode::config, line);
}

ListenVariables variables_in_environment() {
  return {.pid = std::getenv("LISTEN_PID"),
          .fds = std::getenv("LISTEN_FDS"),
          .names = std::getenv("LISTEN_FDNAMES")};
}

/// A program executed later must not take our sockets for its own.
void clear_environment() {
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
}

}  // namespace

std::vector<std::string> parse_listen_variables(const ListenVariables& variables, pid_t self) {
  if (variables.pid == nullptr || variables.fds == nullptr) return {};
  const auto pid = parse_number(variables.pid);
  if (!pid || *pid <= 0) refuse("LISTEN_PID is '" + std::string(variables.pid) + "', no process");
  if (*pid != self) return {};
  const auto count = parse_number(variables.fds);
  if (!count || *count < 0)
    refuse("LISTEN_FDS is '" + std::string(variables.fds) + "', no number of sockets");
  if (*count > static_cast<long>(max_listeners)) {
    refuse("LISTEN_FDS passes " + std::to_string(*count) + " sockets; at most " +
           std::to_string(max_listeners) + " can be served");
  }
  std::vector<std::string> names;
  if (variables.names != nullptr) names = split(variables.names, ':');
  names.resize(static_cast<std::size_t>(*count), unnamed);
  for (std::string& name : names) {
    if (name.empty()) name = unnamed;
  }
  return names;
}

std::vector<Listener> take_passed_sockets() {
  const std::vector<std::string> names =
      parse_listen_variables(variables_in_environment(), getpid());
  clear_environment();
  std::vector<Listener> listeners;
  for (const std::string& name : names) {
    const int fd = first_passed + static_cast<int>(listeners.size());
    if (!is_listening_stream_socket(fd)) {
      refuse("descriptor " + std::to_string(fd) + " ('" + name +
             "'), passed by LISTEN_FDS, is not a listening stream socket (in a .socket unit: "
             "ListenStream=, and not Accept=yes)");
    }
    listeners.push_back(Listener::adopt(sys::Descriptor(fd), Listener::Owner::service_manager));
  }
  return listeners;
}

}  // namespace forkecho::server
