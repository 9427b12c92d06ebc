#include "client/first_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <ctime>
#include <utility>

#include "common/sys/check_syscall.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

constexpr auto pause_length = 50ms;
constexpr const char* default_address = "127.0.0.1:9001";  // of the daemon

/// 0, or the errno of the connect.
int finish_connect(int socket_fd, sys::Deadline deadline) {
  pollfd entry{.fd = socket_fd, .events = POLLOUT, .revents = 0};
  const int ready =
      sys::retry_on_interrupt([&] { return poll(&entry, 1, deadline.poll_timeout_ms()); });
  if (ready == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof error;
  sys::check_syscall(getsockopt(socket_fd, SOL_SOCKET, SO_ERROR, &error, &length), "getsockopt");
  return error;
}

/// Where nobody listens at all, someone may have to start the daemon.
std::string remedy(const sys::SocketAddress& address, int error) {
  if (error != ECONNREFUSED && error != ENOENT) return {};
  const std::string where = address.to_string();
  return "; start the daemon with: forkechod start" +
         (where == default_address ? "" : " --listen " + where);
}

FirstConnection connect_to(const sys::SocketAddress& address, sys::Duration timeout) {
  const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  FirstConnection connection;
  connection.address = address;
  connection.socket.reset(sys::check_syscall(socket(address.family(), type, 0), "socket"));
  const auto began = sys::Clock::now();
  int error = connect(connection.socket.get(), address.get(), address.length()) == 0 ? 0 : errno;
  if (error == EINPROGRESS)
    error = finish_connect(connection.socket.get(), sys::Deadline::after(timeout));
  connection.connect_time = sys::Clock::now() - began;
  if (error == 0) return connection;
  connection.socket.reset();
  connection.error = "nothing answers at " + address.to_string() + ": " + std::strerror(error) +
                     remedy(address, error);
  return connection;
}

FirstConnection try_all(const std::string& target, sys::Duration timeout) {
  const sys::ResolvedAddresses resolved = sys::resolve(target);
  FirstConnection connection;
  connection.error = resolved.error;
  connection.malformed = resolved.malformed;
  for (const auto& address : resolved.addresses) {
    connection = connect_to(address, timeout);
    if (connection.socket) break;
  }
  return connection;
}

}  // namespace

void pause_between_tries() {
  const timespec pause{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(pause_length).count()};
  nanosleep(&pause, nullptr);
}

FirstConnection connect_first(const std::string& target, sys::Duration timeout,
                              sys::Deadline retry_until) {
  for (;;) {
    FirstConnection connection = try_all(target, timeout);
    if (connection.socket || connection.malformed || retry_until.passed()) return connection;
    pause_between_tries();
  }
}

}  // namespace forkecho::client
