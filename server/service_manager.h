// ServiceManager: what the daemon tells the manager that started it (systemd, or whoever sets
// NOTIFY_SOCKET), by the protocol of sd_notify(3): datagrams of NAME=VALUE lines.
//
// The supervisor alone uses it. Without a manager every call does nothing. Nothing here fails the
// daemon or blocks it: what the manager does not take now is kept and tried again by flush, and a
// manager that is gone is nobody to tell.
#pragma once

#include <sys/types.h>

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"
#include "common/sys/socket_address.h"

namespace forkecho::server {

/// The address that NOTIFY_SOCKET names: "/run/systemd/notify", or "@name" for the abstract
/// namespace. Empty when it is unset, or of a kind that this daemon does not speak to (vsock:...).
/// Pure.
std::optional<sys::SocketAddress> parse_notify_socket(const char* text);

/// How often the manager wants a sign of life: half of WATCHDOG_USEC, as sd_watchdog_enabled(3)
/// advises; zero when it wants none, or WATCHDOG_PID names another process than `self`. `pid` is
/// null in a daemon that took over from the one it names. Pure.
sys::Duration parse_watchdog(const char* usec, const char* pid, pid_t self);

class ServiceManager {
 public:
  /// Whether the process was started by the manager, or took over from one that was: then
  /// WATCHDOG_PID names the process before.
  enum class Origin { started, took_over };

  /// The one that the environment names. Leaves the environment as it is, for a daemon that takes
  /// over later. Never throws.
  static ServiceManager of_environment(Origin origin);
  /// Nobody, when `address` is empty. `watchdog` of zero: no signs of life are wanted.
  ServiceManager(std::optional<sys::SocketAddress> address, sys::Duration watchdog);

  void ready(std::string_view status);
  /// A reload begins; ready() ends it.
  void reloading();
  void stopping(std::string_view status);
  void status(std::string_view status);
  /// From now on the manager's main process is `pid`.
  void main_process(pid_t pid);

  /// Call on every tick: gives the sign of life when it is due, and sends what was kept.
  void tick(sys::Clock::time_point now);
  /// How often tick must be called at least; Duration::max() when it does not matter.
  sys::Duration longest_pause() const;

 private:
  void tell(std::string message);
  void flush();

  std::optional<sys::SocketAddress> address_;
  sys::Duration watchdog_;
  sys::Descriptor socket_;
  std::deque<std::string> kept_;
  sys::Clock::time_point last_sign_{};
};

}  // namespace forkecho::server
