#include "server/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace forkecho::server {
namespace {

/// A manager that takes nothing for long must not make the supervisor grow.
constexpr std::size_t most_kept = 32;

template <typename Number>
std::optional<Number> parse_number(const char* text) {
  Number number{};
  const char* const text_end = text + std::strlen(text);
  const auto [end, error] = std::from_chars(text, text_end, number);
  if (error != std::errc() || end != text_end) return std::nullopt;
  return number;
}

/// On CLOCK_MONOTONIC, in microseconds.
long long monotonic_usec() {
  const auto now = sys::Clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

/// A status is one line; a second one would be read as another assignment.
std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

}  // namespace

std::optional<sys::SocketAddress> parse_notify_socket(const char* text) {
  if (text == nullptr || (text[0] != '/' && text[0] != '@') || text[1] == '\0') return std::nullopt;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(text);
  if (length >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, text, length);
  if (text[0] == '@') address.sun_path[0] = '\0';
  // An abstract name has no terminating zero: it would be a part of it.
  return sys::SocketAddress(reinterpret_cast<const sockaddr*>(&address),
                            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

sys::Duration parse_watchdog(const char* usec, const char* pid, pid_t self) {
  if (usec == nullptr) return sys::Duration::zero();
  if (pid != nullptr && parse_number<pid_t>(pid) != self) return sys::Duration::zero();
  const auto period = parse_number<std::int64_t>(usec);
  constexpr auto longest =
      std::chrono::duration_cast<std::chrono::microseconds>(sys::Duration::max());
  if (!period || *period <= 0 || *period > longest.count()) return sys::Duration::zero();
  return std::chrono::microseconds(*period) / 2;
}

ServiceManager ServiceManager::of_environment(Origin origin) {
  const char* pid = origin == Origin::started ? std::getenv("WATCHDOG_PID") : nullptr;
  return {parse_notify_socket(std::getenv("NOTIFY_SOCKET")),
          parse_watchdog(std::getenv("WATCHDOG_USEC"), pid, getpid())};
}

ServiceManager::ServiceManager(std::optional<sys::SocketAddress> address, sys::Duration watchdog)
    : address_(std::move(address)), watchdog_(address_ ? watchdog : sys::Duration::zero()) {}

void ServiceManager::ready(std::string_view status) {
  tell("READY=1\nSTATUS=" + one_line(status));
}

void ServiceManager::reloading() {
  tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_usec()));
}

void ServiceManager::stopping(std::string_view status) {
  tell("STOPPING=1\nSTATUS=" + one_line(status));
}

void ServiceManager::status(std::string_view status) {
  tell("STATUS=" + one_line(status));
}

void ServiceManager::main_process(pid_t pid) {
  tell(fmt::format("MAINPID={}", pid));
}

void ServiceManager::tick(sys::Clock::time_point now) {
  flush();
  if (watchdog_ == sys::Duration::zero() || now - last_sign_ < watchdog_) return;
  last_sign_ = now;
  tell("WATCHDOG=1");
}

sys::Duration ServiceManager::longest_pause() const {
  return watchdog_ == sys::Duration::zero() ? sys::Duration::max() : watchdog_ / 2;
}

void ServiceManager::tell(std::string message) {
  if (!address_) return;
  if (kept_.size() < most_kept) kept_.push_back(std::move(message));
  flush();
}

/// Opened late and kept: at the end of the daemon there may be no descriptor left.
void ServiceManager::flush() {
  if (kept_.empty()) return;
  if (!socket_) socket_.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  while (socket_ && !kept_.empty()) {
    const std::string& message = kept_.front();
    const ssize_t sent = sendto(socket_.get(), message.data(), message.size(),
                                MSG_NOSIGNAL | MSG_DONTWAIT, address_->get(), address_->length());
    if (sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)) return;
    kept_.pop_front();
  }
}

}  // namespace forkecho::server
