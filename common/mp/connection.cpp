#include "common/mp/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "common/mp/step.h"
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
      return pread(file.get(), content.data() + have, size - have, static_cast<off_t>(have));
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

Connection::Connection(sys::Descriptor socket, Direction direction)
    : socket_(std::move(socket)), direction_(direction) {}

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
  if (bytes.size() <= inline_limit)
    return send_packet({Kind::bytes, 0, bytes.size()}, bytes, -1, deadline);
  const sys::Descriptor file = memory_file_of(bytes);
  FORKECHO_MP_STEP("connection.send.file_written");
  return send_packet({Kind::memory_file, 0, bytes.size()}, {}, file.get(), deadline);
}

void Connection::send_descriptor(int descriptor) {
  check_may_send();
  send_packet({Kind::descriptor, 0, 0}, {}, descriptor, sys::Deadline::never());
}

bool Connection::send_packet(const Header& header, BytesView bytes, int descriptor,
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
  while (sendmsg(socket_.get(), &message, flags) == -1) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) sys::throw_errno(errno, "send on a connection");
    if (!wait_for(socket_.get(), POLLOUT, deadline)) return false;
  }
  FORKECHO_MP_STEP("connection.send.sent");
  return true;
}

std::optional<Connection::Packet> Connection::receive_packet() {
  check_may_receive();
  if (!packet_) packet_ = std::make_unique_for_overwrite<std::byte[]>(inline_limit);
  Packet packet{};
  std::array<iovec, 2> parts{
      {{&packet.header, sizeof packet.header}, {packet_.get(), inline_limit}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  Control control;
  message.msg_control = control.room.data();
  // Not CMSG_SPACE, whose padding is room for a second descriptor, that nobody would close.
  message.msg_controllen = CMSG_LEN(sizeof(int));
  FORKECHO_MP_STEP("connection.recv.begin");
  const ssize_t count = sys::retry_on_interrupt(
      [&] { return recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC); });
  FORKECHO_MP_STEP("connection.recv.received");
  // A peer that ended with messages of ours unread resets the connection: an end like another.
  if (count == 0 || (count == -1 && errno == ECONNRESET)) return std::nullopt;
  sys::check_syscall(count, "receive on a connection");
  packet.descriptor = attached(message);
  if (static_cast<std::size_t>(count) < sizeof packet.header || (message.msg_flags & MSG_TRUNC) != 0)
    throw DecodeError("a packet that no mp::Connection has sent");
  packet.bytes = {packet_.get(), static_cast<std::size_t>(count) - sizeof packet.header};
  return packet;
}

std::optional<BytesView> Connection::receive() {
  auto packet = receive_packet();
  if (!packet) return std::nullopt;
  switch (packet->header.kind) {
    case Kind::bytes:
      return packet->bytes;
    case Kind::memory_file:
      if (!packet->descriptor || packet->header.size > largest_message)
        throw DecodeError("a large message that no mp::Connection has sent");
      large_ = content_of(packet->descriptor, packet->header.size);
      return large_;
    case Kind::descriptor:
      throw std::logic_error("the next message is a descriptor: recv_descriptor takes it");
  }
  throw DecodeError("a message of unknown kind");
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
  if (bytes->size() > buffer.size()) throw BufferTooShort(Bytes(bytes->begin(), bytes->end()));
  if (!bytes->empty()) std::memcpy(buffer.data(), bytes->data(), bytes->size());
  return bytes->size();
}

bool Connection::poll(sys::Deadline deadline) const {
  check_may_receive();
  return wait_for(socket_.get(), POLLIN, deadline);
}

std::optional<sys::Descriptor> Connection::recv_descriptor() {
  auto packet = receive_packet();
  if (!packet) return std::nullopt;
  if (packet->header.kind != Kind::descriptor || !packet->descriptor)
    throw std::logic_error("the next message is not a descriptor");
  return std::move(packet->descriptor);
}

struct Pipe::Ends {
  std::array<int, 2> sockets{};
};

Pipe::Pipe(Ends ends, Duplex duplex)
    : first(sys::Descriptor(ends.sockets[0]), duplex == Duplex::yes
                                                  ? Connection::Direction::both
                                                  : Connection::Direction::receive_only),
      second(sys::Descriptor(ends.sockets[1]), duplex == Duplex::yes
                                                   ? Connection::Direction::both
                                                   : Connection::Direction::send_only) {}

Pipe::Pipe(Duplex duplex)
    : Pipe(
          [] {
            Ends ends;
            sys::check_syscall(
                socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.sockets.data()),
                "socketpair");
            return ends;
          }(),
          duplex) {}

}  // namespace forkecho::mp
