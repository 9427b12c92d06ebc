#include "common/mp/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/mp/step.h"
#include "common/sys/above_standard.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp {
namespace {

enum class Kind : std::uint32_t { bytes, memory_file, descriptor };

/// Room for the one descriptor that a packet may carry.
struct alignas(cmsghdr) Control {
  std::array<std::byte, CMSG_SPACE(sizeof(int))> room{};
};

void attach(msghdr& message, Control& control, int descriptor) {
  message.msg_control = control.room.data();
  message.msg_controllen = control.room.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptor);
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
}

sys::Descriptor attached(msghdr& message) {
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return {};
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  return sys::Descriptor(descriptor);
}

/// Calls `call` again as long as it fails with one of `errors`.
template <typename Call>
ssize_t again_if(std::initializer_list<int> errors, Call call) {
  for (;;) {
    const ssize_t result = call();
    if (result != -1 || std::find(errors.begin(), errors.end(), errno) == errors.end())
      return result;
  }
}

/// False when the deadline passed first.
bool wait_for(int socket, short events, sys::Deadline deadline) {
  pollfd entry{.fd = socket, .events = events, .revents = 0};
  for (;;) {
    const int ready = poll(&entry, 1, deadline.poll_timeout_ms());
    if (ready > 0) return true;
    if (ready == -1 && errno != EINTR) sys::throw_errno(errno, "poll");
    if (ready == 0 && deadline.passed()) return false;
  }
}

bool keeps_packets_apart(int socket) {
  int type = 0;
  socklen_t length = sizeof type;
  return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET;
}

sys::Descriptor memory_file_of(BytesView bytes) {
  sys::Descriptor file(sys::check_syscall(memfd_create("forkecho-message", MFD_CLOEXEC),
                                          "memfd_create for a large message"));
  for (BytesView rest = bytes; !rest.empty();) {
    const ssize_t written = sys::check_syscall(
        sys::retry_on_interrupt([&] { return write(file.get(), rest.data(), rest.size()); }),
        "write of a large message");
    rest = rest.subspan(static_cast<std::size_t>(written));
  }
  return file;
}

/// Whether reading `size` bytes can be done at once: only files in memory have seals, the read of
/// any other could wait for whoever provides it.
bool is_memory_file(const sys::Descriptor& file, std::size_t size) {
  struct stat status {};
  return fcntl(file.get(), F_GET_SEALS) != -1 && fstat(file.get(), &status) == 0 &&
         std::cmp_greater_equal(status.st_size, size);
}

/// Read and not mapped: a file that its sender shortens must not become a fault of ours.
Bytes content_of(const sys::Descriptor& file, std::size_t size) {
  if (!is_memory_file(file, size))
    throw DecodeError("a large message that is no file in memory of its size");
  Bytes content(size);
  for (std::size_t have = 0; have < size;) {
    const ssize_t count = sys::check_syscall(sys::retry_on_interrupt([&] {
                                               return pread(file.get(), content.data() + have,
                                                            size - have, static_cast<off_t>(have));
                                             }),
                                             "read of a large message");
    if (count == 0) throw DecodeError("a large message is shorter than announced");
    have += static_cast<std::size_t>(count);
  }
  return content;
}

}  // namespace

/// Begins every packet, so that none is empty: an empty one could not be told from end of file.
struct Connection::Header {
  Kind kind;
  std::uint32_t reserved;
  std::uint64_t size;  // of the message in bytes
};

struct Connection::Packet {
  Header header;
  BytesView bytes;  // in packet_
  sys::Descriptor descriptor;
};

BufferTooShort::BufferTooShort(Bytes message)
    : std::runtime_error("a message of " + std::to_string(message.size()) +
                         " bytes is longer than the buffer for it"),
      message_(std::move(message)) {}

Connection::Connection(Checked /*that it is one*/, sys::Descriptor socket, Direction direction)
    : socket_(std::move(socket)), direction_(direction) {}

Connection::Connection(sys::Descriptor socket, Direction direction)
    : Connection(Checked::yes, std::move(socket), direction) {
  if (!keeps_packets_apart(socket_.get()))
    throw std::invalid_argument("a connection needs a socket of type SOCK_SEQPACKET");
}

void Connection::check_may_send() const {
  if (closed()) throw std::logic_error("send on a closed connection");
  if (!writable()) throw std::logic_error("send on a connection that only receives");
}

void Connection::check_may_receive() const {
  if (closed()) throw std::logic_error("receive on a closed connection");
  if (!readable()) throw std::logic_error("receive on a connection that only sends");
}

bool Connection::send_bytes(BytesView bytes, sys::Deadline deadline) {
  check_may_send();
  if (bytes.size() > largest_message)
    throw std::length_error("a message of " + std::to_string(bytes.size()) +
                            " bytes: the largest is " + std::to_string(largest_message));
  if (bytes.size() > inline_limit) return send_large(bytes, deadline);
  const Sent sent = send_packet({Kind::bytes, 0, bytes.size()}, bytes, -1, deadline);
  return sent == Sent::too_long ? send_large(bytes, deadline) : sent == Sent::yes;
}

bool Connection::send_large(BytesView bytes, sys::Deadline deadline) {
  const sys::Descriptor file = memory_file_of(bytes);
  FORKECHO_MP_STEP("connection.send.file_written");
  const Header header{Kind::memory_file, 0, bytes.size()};
  return send_packet(header, {}, file.get(), deadline) == Sent::yes;
}

bool Connection::send_descriptor(int descriptor, sys::Deadline deadline) {
  check_may_send();
  if (descriptor < 0)
    throw std::invalid_argument("descriptor " + std::to_string(descriptor) + " cannot be sent");
  return send_packet({Kind::descriptor, 0, 0}, {}, descriptor, deadline) == Sent::yes;
}

Connection::Sent Connection::send_packet(const Header& header, BytesView bytes, int descriptor,
                                         sys::Deadline deadline) {
  std::array<iovec, 2> parts{{{const_cast<Header*>(&header), sizeof header},
                              {const_cast<std::byte*>(bytes.data()), bytes.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  Control control;
  if (descriptor != -1) attach(message, control, descriptor);
  const int flags = MSG_NOSIGNAL | (deadline.is_never() ? 0 : MSG_DONTWAIT);
  FORKECHO_MP_STEP("connection.send.begin");
  // poll tells of room only when three quarters of the buffer are free (Linux, unix_writable), a
  // send needs no more than it takes: so it is tried once more when the time is over.
  bool last_try = false;
  while (sendmsg(socket_.get(), &message, flags) == -1) {
    // The reset is told once, of whatever call comes next; then the end is as it would have been.
    if (errno == EINTR || errno == ECONNRESET) continue;
    if (errno == EMSGSIZE && header.kind == Kind::bytes) return Sent::too_long;
    if (errno != EAGAIN) sys::throw_errno(errno, "send on a connection");
    if (last_try) return Sent::no_room;
    last_try = !wait_for(socket_.get(), POLLOUT, deadline);
  }
  FORKECHO_MP_STEP("connection.send.sent");
  return Sent::yes;
}

Connection::Met Connection::receive_packet(Packet& packet, int flags, OnSignal on_signal) {
  if (!packet_) packet_ = std::make_unique_for_overwrite<std::byte[]>(inline_limit);
  std::array<iovec, 2> parts{
      {{&packet.header, sizeof packet.header}, {packet_.get(), inline_limit}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  Control control;
  message.msg_control = control.room.data();
  message.msg_controllen = CMSG_LEN(sizeof(int));  // the padding would hold a second descriptor
  FORKECHO_MP_STEP("connection.recv.begin");
  // A peer that ended with messages of ours unread resets the connection. That is told before the
  // messages that it had sent, once: they come with the calls that follow.
  const ssize_t count =
      again_if({on_signal == OnSignal::go_on ? EINTR : ECONNRESET, ECONNRESET},
               [&] { return recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | flags); });
  FORKECHO_MP_STEP("connection.recv.received");
  if (count == 0) return Met::end_of_file;
  if (count == -1 && (errno == EAGAIN || errno == EINTR)) return Met::nothing;
  sys::check_syscall(count, "receive on a connection");
  packet.descriptor = attached(message);
  if (static_cast<std::size_t>(count) < sizeof packet.header ||
      (message.msg_flags & MSG_TRUNC) != 0)
    throw DecodeError("a packet that no mp::Connection has sent");
  if ((message.msg_flags & MSG_CTRUNC) != 0)
    sys::throw_errno(EMFILE, "receive of a descriptor on a connection");
  packet.bytes = {packet_.get(), static_cast<std::size_t>(count) - sizeof packet.header};
  return Met::message;
}

Connection::Met Connection::wait_for_packet(Packet& packet) {
  for (;;) {
    const Met met = receive_packet(packet, 0);
    if (met != Met::nothing) return met;
    // A socket that does not wait (O_NONBLOCK), or no longer than set_patience said.
    wait_for(socket_.get(), POLLIN, sys::Deadline::never());
  }
}

BytesView Connection::message_of(const Packet& packet) {
  switch (packet.header.kind) {
    case Kind::bytes:
      if (packet.header.size == packet.bytes.size()) return packet.bytes;
      break;
    case Kind::memory_file:
      if (!packet.descriptor || packet.header.size > largest_message) break;
      large_ = content_of(packet.descriptor, packet.header.size);
      return large_;
    case Kind::descriptor:
      throw std::logic_error("the next message is a descriptor: recv_descriptor takes it");
  }
  throw DecodeError("a packet that no mp::Connection has sent");
}

std::optional<BytesView> Connection::receive() {
  check_may_receive();
  Packet packet{};
  if (wait_for_packet(packet) == Met::end_of_file) return std::nullopt;
  return message_of(packet);
}

Connection::Attempt Connection::attempt_recv(Wait wait) {
  check_may_receive();
  Packet packet{};
  const Met met = receive_packet(packet, wait == Wait::no ? MSG_DONTWAIT : 0);
  return {met, met == Met::message ? message_of(packet) : BytesView{}};
}

void Connection::set_patience(sys::Duration patience) {
  const auto us = std::max(std::chrono::microseconds(1),
                           std::chrono::duration_cast<std::chrono::microseconds>(patience));
  const timeval limit{.tv_sec = us.count() / 1'000'000, .tv_usec = us.count() % 1'000'000};
  sys::check_syscall(setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit),
                     "setsockopt SO_RCVTIMEO");
}

std::optional<Bytes> Connection::recv_bytes() {
  const auto bytes = receive();
  if (!bytes) return std::nullopt;
  if (bytes->data() == large_.data() && !large_.empty()) return std::exchange(large_, {});
  return Bytes(bytes->begin(), bytes->end());
}

std::optional<std::size_t> Connection::recv_bytes_into(std::span<std::byte> buffer) {
  const auto bytes = receive();
  if (!bytes) return std::nullopt;
  const Release after{large_};
  if (bytes->size() > buffer.size()) throw BufferTooShort(Bytes(bytes->begin(), bytes->end()));
  if (!bytes->empty()) std::memcpy(buffer.data(), bytes->data(), bytes->size());
  return bytes->size();
}

bool Connection::poll(sys::Deadline deadline) const {
  check_may_receive();
  return wait_for(socket_.get(), POLLIN, deadline);
}

sys::Descriptor Connection::descriptor_of(Packet& packet) {
  if (packet.header.kind != Kind::descriptor || !packet.descriptor)
    throw std::logic_error("the next message is not a descriptor");
  return std::move(packet.descriptor);
}

std::optional<sys::Descriptor> Connection::recv_descriptor() {
  check_may_receive();
  Packet packet{};
  if (wait_for_packet(packet) == Met::end_of_file) return std::nullopt;
  return descriptor_of(packet);
}

Connection::DescriptorAttempt Connection::attempt_recv_descriptor(Wait wait) {
  check_may_receive();
  Packet packet{};
  const Met met = receive_packet(packet, wait == Wait::no ? MSG_DONTWAIT : 0, OnSignal::nothing);
  return {met, met == Met::message ? descriptor_of(packet) : sys::Descriptor()};
}

struct Pipe::Ends {
  std::array<sys::Descriptor, 2> sockets;
};

Pipe::Pipe(Ends ends, Duplex duplex)
    : first(Connection::Checked::yes, std::move(ends.sockets[0]),
            duplex == Duplex::yes ? Connection::Direction::both
                                  : Connection::Direction::receive_only),
      second(
          Connection::Checked::yes, std::move(ends.sockets[1]),
          duplex == Duplex::yes ? Connection::Direction::both : Connection::Direction::send_only) {}

Pipe::Pipe(Duplex duplex)
    : Pipe(
          [] {
            std::array<int, 2> numbers{};
            sys::check_syscall(
                socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, numbers.data()),
                "socketpair");
            Ends ends{{sys::Descriptor(numbers[0]), sys::Descriptor(numbers[1])}};
            for (sys::Descriptor& end : ends.sockets) end = sys::above_standard(end.release());
            return ends;
          }(),
          duplex) {}

}  // namespace forkecho::mp
