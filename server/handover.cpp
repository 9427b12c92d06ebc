#include "server/handover.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "server/exit_code.h"
#include "server/socket_activation.h"

namespace forkecho::server {
namespace {

/// The form of what follows; a program that reads another one refuses, and nothing has changed.
constexpr std::string_view version = "1";

bool is_plain(char c) {
  return c > ' ' && c < 127 && c != '%' && c != ',';
}

std::string escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    escaped +=
        is_plain(c) ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return escaped;
}

std::optional<int> parse_number(std::string_view text, int base = 10) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const auto code = i + 2 < text.size() ? parse_number(text.substr(i + 1, 2), 16) : std::nullopt;
    if (!code) return std::nullopt;
    plain += static_cast<char>(*code);
    i += 2;
  }
  return plain;
}

/// The text before `separator`, removed from `text` with it; all of it when there is none.
std::string_view cut(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

std::string encode(const Handover::Socket& socket) {
  return fmt::format(" listener={},{},{}", socket.fd,
                     socket.owner == Listener::Owner::daemon ? "own" : "passed",
                     escape(socket.text));
}

std::optional<Handover::Socket> decode_socket(std::string_view text) {
  const auto fd = parse_number(cut(text, ','));
  const std::string_view owner = cut(text, ',');
  auto address = unescape(text);
  if (!fd || !address || (owner != "own" && owner != "passed")) return std::nullopt;
  return Handover::Socket{
      .fd = *fd,
      .owner = owner == "own" ? Listener::Owner::daemon : Listener::Owner::service_manager,
      .text = std::move(*address)};
}

/// False when it is not understood.
bool decode_into(Handover& handover, std::string_view key, std::string_view value) {
  if (key == "listener") {
    auto socket = decode_socket(value);
    if (socket) handover.listeners.push_back(std::move(*socket));
    return socket.has_value();
  }
  const auto fd = parse_number(value);
  if (!fd) return false;
  if (key == "predecessor") {
    handover.predecessors.push_back(*fd);
    return true;
  }
  int* const place = key == "channel"   ? &handover.channel
                     : key == "pidfile" ? &handover.pidfile
                     : key == "control" ? &handover.control
                                        : nullptr;
  if (place != nullptr) *place = *fd;
  return place != nullptr;
}

sys::Descriptor take(int fd) {
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    throw FatalError(ExitCode::config, fmt::format("{} names descriptor {}, which is not open",
                                                   handover_variable, fd));
  }
  return sys::Descriptor(fd);
}

Inheritance take_over(const Handover& handover) {
  Inheritance inherited;
  inherited.channel = take(handover.channel);
  inherited.pidfile = take(handover.pidfile);
  inherited.control = take(handover.control);
  for (const int fd : handover.predecessors) inherited.predecessors.push_back(take(fd));
  for (const Handover::Socket& socket : handover.listeners) {
    if (!is_listening_stream_socket(socket.fd)) {
      throw FatalError(ExitCode::config,
                       fmt::format("{} names descriptor {}, which is not a listening socket",
                                   handover_variable, socket.fd));
    }
    inherited.listeners.push_back(
        {Listener::adopt(sys::Descriptor(socket.fd), socket.owner), socket.text});
  }
  return inherited;
}

Inheritance take_activation() {
  Inheritance inherited;
  for (Listener& listener : take_passed_sockets())
    inherited.listeners.push_back({std::move(listener), {}});
  return inherited;
}

}  // namespace

std::vector<int> Handover::descriptors() const {
  std::vector<int> all{channel, pidfile, control};
  all.insert(all.end(), predecessors.begin(), predecessors.end());
  for (const Socket& socket : listeners) all.push_back(socket.fd);
  return all;
}

std::string encode(const Handover& handover) {
  std::string text = fmt::format("{} channel={} pidfile={} control={}", version, handover.channel,
                                 handover.pidfile, handover.control);
  for (const int fd : handover.predecessors) text += fmt::format(" predecessor={}", fd);
  for (const Handover::Socket& socket : handover.listeners) text += encode(socket);
  return text;
}

std::optional<Handover> decode_handover(std::string_view text) {
  if (cut(text, ' ') != version) return std::nullopt;
  Handover handover;
  while (!text.empty()) {
    std::string_view value = cut(text, ' ');
    const std::string_view key = cut(value, '=');
    if (!decode_into(handover, key, value)) return std::nullopt;
  }
  const bool complete = handover.channel >= 0 && handover.pidfile >= 0 && handover.control >= 0 &&
                        !handover.predecessors.empty();
  return complete ? std::optional(std::move(handover)) : std::nullopt;
}

Inheritance take_inheritance() {
  const char* text = std::getenv(handover_variable);
  if (text == nullptr) return take_activation();
  const auto handover = decode_handover(text);
  unsetenv(handover_variable);
  if (!handover) {
    throw FatalError(ExitCode::config, std::string(handover_variable) +
                                           " is not understood; a daemon of another version wrote "
                                           "it: stop that one and start this one instead");
  }
  return take_over(*handover);
}

std::optional<Listener> take_matching(std::list<Inheritance::Socket>& inherited,
                                      const std::string& text,
                                      const std::vector<sys::SocketAddress>& addresses) {
  auto found = std::find_if(inherited.begin(), inherited.end(),
                            [&](const auto& socket) { return socket.text == text; });
  if (found == inherited.end() && !addresses.empty()) {
    const std::string address = addresses.front().to_string();
    found = std::find_if(inherited.begin(), inherited.end(), [&](const auto& socket) {
      return socket.listener.address().to_string() == address;
    });
  }
  if (found == inherited.end()) return std::nullopt;
  Listener listener = std::move(found->listener);
  inherited.erase(found);
  return listener;
}

}  // namespace forkecho::server
