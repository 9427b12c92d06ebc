#include "common/sys/socket_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "common/sys/check_syscall.h"

namespace forkecho::sys {
namespace {

constexpr std::string_view unix_prefix = "unix:";

struct HostPort {
  std::string host;
  std::string port;
};

std::optional<HostPort> split_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // an IPv6 address without brackets: which colon is the port's?
  }
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc{} || end != port.data() + port.size() || number > 65535)
    return std::nullopt;
  return HostPort{std::string(host), std::string(port)};
}

/// The error quotes what was given, and is one line whatever that is.
ResolvedAddresses failure(std::string error, bool malformed) {
  std::ranges::replace_if(
      error, [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return {.addresses = {}, .error = std::move(error), .malformed = malformed};
}

ResolvedAddresses resolve_unix(std::string_view path) {
  if (path.empty())
    return failure("'unix:' needs a path, such as unix:/run/forkecho/echo.sock", true);
  if (path.find('\0') != std::string_view::npos)
    return failure("a socket path holds no NUL: '" + std::string(path) + "'", true);
  try {
    return {.addresses = {SocketAddress::of_unix_path(std::string(path))},
            .error = {},
            .malformed = false};
  } catch (const std::invalid_argument& error) {
    return failure(error.what(), true);
  }
}

ResolvedAddresses resolve_internet(const HostPort& target) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const bool wildcard = target.host.empty() || target.host == "*";
  addrinfo* found = nullptr;
  const int status =
      getaddrinfo(wildcard ? "0.0.0.0" : target.host.c_str(), target.port.c_str(), &hints, &found);
  if (status != 0) {
    return failure("cannot resolve '" + target.host + "': " + gai_strerror(status), false);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  ResolvedAddresses result;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    result.addresses.emplace_back(entry->ai_addr, entry->ai_addrlen);
  }
  return result;
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t length)
    : length_(std::min<socklen_t>(length, sizeof storage_)) {
  std::memcpy(&storage_, address, length_);
}

SocketAddress SocketAddress::of_unix_path(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw std::invalid_argument("the socket path '" + path + "' is longer than " +
                                std::to_string(sizeof address.sun_path - 1) +
                                " bytes; choose a shorter one");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return SocketAddress(reinterpret_cast<const sockaddr*>(&address), length);
}

SocketAddress SocketAddress::local(int socket_fd) {
  SocketAddress result;
  result.length_ = sizeof result.storage_;
  check_syscall(
      getsockname(socket_fd, reinterpret_cast<sockaddr*>(&result.storage_), &result.length_),
      "getsockname");
  return result;
}

SocketAddress SocketAddress::peer(int socket_fd) {
  SocketAddress result;
  result.length_ = sizeof result.storage_;
  check_syscall(
      getpeername(socket_fd, reinterpret_cast<sockaddr*>(&result.storage_), &result.length_),
      "getpeername");
  return result;
}

int SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  return 0;
}

std::string SocketAddress::path() const {
  if (!is_unix() || length_ <= offsetof(sockaddr_un, sun_path)) return {};
  const auto* address = reinterpret_cast<const sockaddr_un*>(&storage_);
  return {address->sun_path, strnlen(address->sun_path, length_ - offsetof(sockaddr_un, sun_path))};
}

std::string SocketAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = "";
  switch (family()) {
    case AF_INET:
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr, text,
                sizeof text);
      return std::string(text) + ':' + std::to_string(port());
    case AF_INET6:
      inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr, text,
                sizeof text);
      return '[' + std::string(text) + "]:" + std::to_string(port());
    default:
      return std::string(unix_prefix) + path();
  }
}

ResolvedAddresses resolve(std::string_view text) {
  if (text.substr(0, unix_prefix.size()) == unix_prefix)
    return resolve_unix(text.substr(unix_prefix.size()));
  const auto target = split_host_port(text);
  if (!target) {
    return failure(
        "'" + std::string(text) + "' is no address; write HOST:PORT, [IPV6]:PORT or unix:PATH",
        true);
  }
  return resolve_internet(*target);
}

}  // namespace forkecho::sys
