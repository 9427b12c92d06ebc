#include "common/mp/manager_handshake.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "common/sys/check_syscall.h"

namespace forkecho::mp {

namespace managed {
namespace {

/// Both sides send this first: another program's socket is told from a manager's.
using Magic = std::array<char, 16>;
constexpr Magic magic = {'f', 'o', 'r', 'k', 'e', 'c', 'h', 'o',
                         '-', 'm', 'p', '-', '0', '0', '0', '1'};

enum class Verdict : std::uint8_t { welcome = 1, wrong_key = 2 };

struct UnixAddress {
  sockaddr_un address{};
  socklen_t length = 0;
};

UnixAddress to_unix(const std::string& address) {
  UnixAddress result;
  if (address.size() < 2 || address[0] != '@' || address.size() > sizeof result.address.sun_path)
    throw std::invalid_argument("'" + address + "' is no address of a manager");
  result.address.sun_family = AF_UNIX;
  std::memcpy(result.address.sun_path + 1, address.data() + 1, address.size() - 1);
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  return result;
}

sys::Descriptor new_socket(int flags) {
  return sys::Descriptor(
      sys::check_syscall(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0), "socket"));
}

bool send_now(int socket, const void* bytes, std::size_t count) {
  return sys::retry_on_interrupt([&] {
           return send(socket, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
         }) == static_cast<ssize_t>(count);
}

[[noreturn]] void throw_died(const std::string& address, const char* how) {
  throw ManagerDied("the manager at " + address + ' ' + how);
}

/// Rounded up, and never zero, which would mean for ever.
timeval to_timeval(sys::Duration duration) {
  const auto us = std::chrono::floor<std::chrono::microseconds>(duration).count() + 1;
  return {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
}

sys::Descriptor connect_to(const std::string& address, sys::Deadline deadline) {
  const UnixAddress to = to_unix(address);
  sys::Descriptor socket = new_socket(0);
  // connect waits while the server's queue is full, for as long as a send may.
  const timeval patience = to_timeval(deadline.remaining());
  sys::check_syscall(setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience),
                     "SO_SNDTIMEO");
  const int result = sys::retry_on_interrupt([&] {
    return connect(socket.get(), reinterpret_cast<const sockaddr*>(&to.address), to.length);
  });
  if (result == -1 && errno == ECONNREFUSED) throw_died(address, "has ended, or never was");
  if (result == -1 && errno == EAGAIN) throw_died(address, "does not answer");
  sys::check_syscall(result, "connect to the manager at " + address);
  const timeval none{};
  sys::check_syscall(setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none),
                     "SO_SNDTIMEO");
  return socket;
}

/// The server's next packet. Throws ManagerDied.
template <typename T>
T receive_from_server(int socket, const std::string& address, sys::Deadline deadline) {
  pollfd entry{.fd = socket, .events = POLLIN, .revents = 0};
  const int ready =
      sys::retry_on_interrupt([&] { return poll(&entry, 1, deadline.poll_timeout_ms()); });
  if (sys::check_syscall(ready, "poll") == 0) throw_died(address, "does not answer");
  T packet{};
  const ssize_t count = sys::retry_on_interrupt(
      [&] { return recv(socket, &packet, sizeof packet, MSG_TRUNC | MSG_DONTWAIT); });
  if (count == 0 || (count == -1 && errno == ECONNRESET))
    throw_died(address, "has ended, or refuses this client");
  sys::check_syscall(count, "receive from the manager");
  if (count != sizeof packet) throw_died(address, "is no manager");
  return packet;
}

}  // namespace

bool equal_in_constant_time(BytesView a, BytesView b) {
  if (a.size() != b.size()) return false;
  // Volatile, or the compiler might leave the loop at the first difference.
  volatile unsigned different = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    different = different | std::to_integer<unsigned>(a[i] ^ b[i]);
  return different == 0;
}

Peer peer_of(int socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  sys::check_syscall(getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length),
                     "SO_PEERCRED");
  return {credentials.pid, credentials.uid};
}

std::string random_address() {
  static constexpr char digits[] = "0123456789abcdef";
  std::string address = "@forkecho-manager-";
  for (const std::byte each : random_authkey()) {
    address += digits[std::to_integer<unsigned>(each) >> 4];
    address += digits[std::to_integer<unsigned>(each) & 15];
  }
  return address;
}

sys::Descriptor listen_at(const std::string& address) {
  const UnixAddress at = to_unix(address);
  sys::Descriptor socket = new_socket(SOCK_NONBLOCK);
  sys::check_syscall(bind(socket.get(), reinterpret_cast<const sockaddr*>(&at.address), at.length),
                     "bind to " + address);
  sys::check_syscall(listen(socket.get(), SOMAXCONN), "listen");
  return socket;
}

sys::Descriptor connect_and_authenticate(const std::string& address, BytesView key,
                                         sys::Deadline deadline) {
  if (key.size() > longest_key)
    throw std::length_error("a key of " + std::to_string(key.size()) + " bytes: the longest is " +
                            std::to_string(longest_key));
  sys::Descriptor socket = connect_to(address, deadline);
  if (peer_of(socket.get()).uid != geteuid())
    throw AuthenticationError("the manager at " + address + " belongs to another user");
  if (receive_from_server<Magic>(socket.get(), address, deadline) != magic)
    throw_died(address, "is no manager");
  Encoder hello;
  hello.raw(magic.data(), magic.size());
  hello.raw(key.data(), key.size());
  if (!send_now(socket.get(), hello.view().data(), hello.view().size()))
    throw_died(address, "ended during the handshake");
  if (receive_from_server<Verdict>(socket.get(), address, deadline) != Verdict::welcome)
    throw AuthenticationError("the manager at " + address + " does not accept this key");
  return socket;
}

bool send_greeting(int socket) {
  return send_now(socket, magic.data(), magic.size());
}

Admission admit(int socket, BytesView key) {
  std::array<std::byte, magic.size() + longest_key> hello;
  // Without room for descriptors: the kernel drops those that a stranger attaches.
  const ssize_t count = sys::retry_on_interrupt(
      [&] { return recv(socket, hello.data(), hello.size(), MSG_TRUNC | MSG_DONTWAIT); });
  if (count == -1 && errno == EAGAIN) return Admission::not_yet;
  if (count < static_cast<ssize_t>(magic.size()) || static_cast<std::size_t>(count) > hello.size())
    return Admission::refused;
  const BytesView said(hello.data(), static_cast<std::size_t>(count));
  if (std::memcmp(said.data(), magic.data(), magic.size()) != 0) return Admission::refused;
  const bool right = equal_in_constant_time(said.subspan(magic.size()), key);
  const Verdict verdict = right ? Verdict::welcome : Verdict::wrong_key;
  return send_now(socket, &verdict, sizeof verdict) && right ? Admission::admitted
                                                             : Admission::refused;
}

}  // namespace managed
}  // namespace forkecho::mp
