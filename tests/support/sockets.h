// A client's side of a connection, as tests need it: connected pairs, and sending and receiving
// with a deadline. Nothing here throws for what a server may do to its client.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "common/sys/socket_address.h"
#include "tests/support/child.h"

namespace forkecho::tests {

struct SocketPair {
  sys::Descriptor client;
  sys::Descriptor server;
};

inline SocketPair unix_pair() {
  int ends[2];
  sys::check_syscall(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
  return {sys::Descriptor(ends[0]), sys::Descriptor(ends[1])};
}

/// A socket connected to `address`; none, with errno, when that is refused.
inline sys::Descriptor try_connect(const sys::SocketAddress& address) {
  sys::Descriptor socket(
      sys::check_syscall(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  if (::connect(socket.get(), address.get(), address.length()) != 0) return {};
  return socket;
}

inline sys::Descriptor connect_to(const sys::SocketAddress& address) {
  sys::Descriptor socket = try_connect(address);
  if (!socket) sys::throw_errno(errno, "cannot connect to " + address.to_string());
  return socket;
}

inline sys::SocketAddress address_of(std::string_view text) {
  return sys::resolve(text).addresses.at(0);
}

enum class Buffers { normal, tiny };

inline void set_tiny_buffers(int socket) {
  const int size = 1;  // the kernel's least
  sys::check_syscall(setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), "SO_SNDBUF");
  sys::check_syscall(setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), "SO_RCVBUF");
}

/// A connection over the loopback interface.
inline SocketPair tcp_pair(Buffers buffers = Buffers::normal) {
  const sys::Descriptor listener(
      sys::check_syscall(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  if (buffers == Buffers::tiny) set_tiny_buffers(listener.get());  // inherited by the accepted one
  const auto any = address_of("127.0.0.1:0");
  sys::check_syscall(bind(listener.get(), any.get(), any.length()), "bind");
  sys::check_syscall(listen(listener.get(), 1), "listen");
  sys::Descriptor client = connect_to(sys::SocketAddress::local(listener.get()));
  if (buffers == Buffers::tiny) set_tiny_buffers(client.get());
  return {std::move(client),
          sys::Descriptor(sys::check_syscall(
              accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"))};
}

inline bool writable(int socket, sys::Deadline deadline) {
  pollfd entry{.fd = socket, .events = POLLOUT, .revents = 0};
  return sys::retry_on_interrupt([&] { return poll(&entry, 1, deadline.poll_timeout_ms()); }) == 1;
}

/// Sends what finds room at once and returns how much it was; -1 when the connection is over.
inline ssize_t send_some(int socket, std::string_view data) {
  const ssize_t sent = send(socket, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent < 0 && errno == EAGAIN ? 0 : sent;
}

/// True once all of it is sent.
inline bool send_all(int socket, std::string_view data, sys::Deadline deadline = patience()) {
  while (!data.empty()) {
    const ssize_t sent = send_some(socket, data);
    if (sent < 0) return false;
    data.remove_prefix(static_cast<std::size_t>(sent));
    if (sent == 0 && !writable(socket, deadline)) return false;
  }
  return true;
}

/// How a stream went on: what came, and why no more of it.
struct Received {
  enum class Stop { enough, end, reset, deadline };
  std::string data;
  Stop stop = Stop::enough;
};

/// Receives until there are `at_most` bytes, or the stream ends.
inline Received receive(int socket, std::size_t at_most, sys::Deadline deadline = patience()) {
  Received received;
  std::array<char, 65536> chunk;
  while (received.data.size() < at_most) {
    const ssize_t count = recv(
        socket, chunk.data(), std::min(chunk.size(), at_most - received.data.size()), MSG_DONTWAIT);
    if (count > 0) {
      received.data.append(chunk.data(), static_cast<std::size_t>(count));
    } else if (count == 0) {
      received.stop = Received::Stop::end;
      return received;
    } else if (errno != EAGAIN && errno != EINTR) {
      received.stop = Received::Stop::reset;
      return received;
    } else if (!readable(socket, deadline)) {
      received.stop = Received::Stop::deadline;
      return received;
    }
  }
  return received;
}

/// All that comes until the server ends the stream; what was received before a reset or the
/// deadline ends in "[reset]" or "[deadline]".
inline std::string receive_to_end(int socket, sys::Deadline deadline = patience()) {
  Received received = receive(socket, std::string::npos, deadline);
  if (received.stop == Received::Stop::reset) received.data += "[reset]";
  if (received.stop == Received::Stop::deadline) received.data += "[deadline]";
  return received.data;
}

/// The reply to `request`, which is as long as the request itself.
inline std::string echo(int socket, std::string_view request, sys::Deadline deadline = patience()) {
  if (!send_all(socket, request, deadline)) return "[not sent]";
  return receive(socket, request.size(), deadline).data;
}

inline void end_sending(int socket) {
  shutdown(socket, SHUT_WR);
}

/// Closes so that the other side sees a reset (TCP).
inline void reset_connection(sys::Descriptor& socket) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  sys::check_syscall(setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once),
                     "SO_LINGER");
  socket.reset();
}

}  // namespace forkecho::tests
