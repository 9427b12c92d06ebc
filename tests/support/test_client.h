// TestClient: one connection of a client that has nothing in common with the project's own, so that
// what it says of the daemon is a second opinion. Every call ends by its deadline.
//
// Failures that a test may expect are values; an address that cannot be used throws.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "common/sys/socket_address.h"
#include "tests/support/child.h"

namespace forkecho::tests {

enum class Heard {
  all,        // as many bytes as were asked for
  end,        // an orderly end of the stream before that
  reset,      // ECONNRESET, or another error of the connection
  timed_out,  // the deadline passed
};

struct Reply {
  Heard heard = Heard::timed_out;
  std::string data;  // what came, also before an end
};

class TestClient {
 public:
  /// Connects; `error()` is an errno when that failed, ETIMEDOUT when the deadline passed.
  explicit TestClient(const std::string& target, sys::Deadline deadline = patience())
      : TestClient(sys::resolve(target).addresses.at(0), deadline) {}
  explicit TestClient(const sys::SocketAddress& address, sys::Deadline deadline = patience())
      : TestClient(address, nullptr, deadline) {}
  /// The same from the IPv4 address `source`, of 127.0.0.0/8.
  TestClient(const std::string& target, const std::string& source,
             sys::Deadline deadline = patience())
      : TestClient(sys::resolve(target).addresses.at(0), source.c_str(), deadline) {}
  TestClient(const sys::SocketAddress& address, const char* source, sys::Deadline deadline) {
    socket_.reset(sys::check_syscall(
        socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    const int on = 1;
    if (!address.is_unix()) setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (source != nullptr) bind_to(source);
    if (connect(socket_.get(), address.get(), address.length()) == 0) return;
    error_ = errno;
    if (error_ == EINPROGRESS) finish_connecting(deadline);
    if (error_ != 0) socket_.reset();
  }

  bool connected() const { return static_cast<bool>(socket_); }
  int error() const { return error_; }
  int get() const { return socket_.get(); }

  /// False when the connection failed or the deadline passed first.
  bool send(std::string_view data, sys::Deadline deadline = patience()) {
    while (!data.empty()) {
      const ssize_t sent = ::send(get(), data.data(), data.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        data.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno != EAGAIN && errno != EINTR) {
        return false;
      } else if (!wait_for(POLLOUT, deadline)) {
        return false;
      }
    }
    return true;
  }
  void half_close() { shutdown(get(), SHUT_WR); }
  /// A close that the other side sees as a reset.
  void reset() {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    setsockopt(get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    socket_.reset();
  }
  void close() { socket_.reset(); }

  /// Exactly `size` bytes, or what came before something else happened.
  Reply receive(std::size_t size, sys::Deadline deadline = patience()) {
    Reply reply;
    buffer_.resize(64 * 1024);
    while (reply.data.size() < size) {
      const std::size_t room = std::min(buffer_.size(), size - reply.data.size());
      const ssize_t received = recv(get(), buffer_.data(), room, 0);
      if (received > 0) {
        reply.data.append(buffer_.data(), static_cast<std::size_t>(received));
      } else if (received == 0) {
        reply.heard = Heard::end;
        return reply;
      } else if (errno != EAGAIN && errno != EINTR) {
        reply.heard = Heard::reset;
        return reply;
      } else if (!wait_for(POLLIN, deadline)) {
        return reply;
      }
    }
    reply.heard = Heard::all;
    return reply;
  }
  /// All that comes until the end of the stream.
  Reply receive_to_end(sys::Deadline deadline = patience()) {
    return receive(std::string::npos, deadline);
  }
  /// Sends `request` and reads a reply of the same length.
  Reply ask(std::string_view request, sys::Deadline deadline = patience()) {
    if (!send(request, deadline)) return {.heard = Heard::reset, .data = {}};
    return receive(request.size(), deadline);
  }

 private:
  bool wait_for(short events, sys::Deadline deadline) const {
    pollfd entry{.fd = get(), .events = events, .revents = 0};
    return sys::retry_on_interrupt([&] { return poll(&entry, 1, deadline.poll_timeout_ms()); }) ==
           1;
  }
  void bind_to(const char* source) const {
    const auto from = sys::resolve(std::string(source) + ":0").addresses.at(0);
    sys::check_syscall(bind(get(), from.get(), from.length()), "bind");
  }
  void finish_connecting(sys::Deadline deadline) {
    if (!wait_for(POLLOUT, deadline)) {
      error_ = ETIMEDOUT;
      return;
    }
    socklen_t length = sizeof error_;
    getsockopt(get(), SOL_SOCKET, SO_ERROR, &error_, &length);
  }

  sys::Descriptor socket_;
  int error_ = 0;
  std::vector<char> buffer_;
};

}  // namespace forkecho::tests
