// Pipe and Connection: messages between two processes, as Python's multiprocessing.Pipe.
//
//   auto [ours, theirs] = mp::Pipe();
//   ours.send(std::string("hello"));            // in one process
//   theirs.recv<std::string>();                 // in another, after a fork: "hello"
//
// A message arrives whole or not at all, however its sender dies: up to inline_limit it is one
// packet of a SOCK_SEQPACKET socket, above it lies in a memory file whose descriptor is the packet.
// Several processes may therefore send on one end, or receive on one, without a lock. What a
// process had sent before it died is received before the end of file is.
//
// After a fork each side closes the end that it does not use (close), or end of file never comes:
// every child inherits every end that is open. One Connection object is not safe between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>

#include "common/mp/codec.h"
#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::mp {

/// recv_bytes_into met a message longer than its buffer. The message is here, and is not lost.
class BufferTooShort : public std::runtime_error {
 public:
  explicit BufferTooShort(Bytes message);
  const Bytes& message() const { return message_; }

 private:
  Bytes message_;
};

class Connection {
 public:
  enum class Direction { both, receive_only, send_only };
  /// The longest message in bytes. A longer one is std::length_error.
  static constexpr std::size_t largest_message = std::size_t{1} << 30;
  /// Up to here a message is one packet: it fits the default send buffer of Linux several times. A
  /// socket with a smaller buffer sends a memory file for what does not fit.
  static constexpr std::size_t inline_limit = std::size_t{48} << 10;

  /// Takes a connected SOCK_SEQPACKET socket over; std::invalid_argument for anything else.
  explicit Connection(sys::Descriptor socket, Direction direction = Direction::both);

  /// False when the other side did not make room before the deadline: then nothing was sent. Throws
  /// std::system_error (EPIPE) when the other side has closed, (EMFILE, ENOMEM, ETOOMANYREFS) when
  /// the system has no room for the memory file of a large message, std::length_error for a message
  /// above largest_message, std::logic_error on a receive-only or closed connection.
  template <typename T>
  bool send(const T& value, sys::Deadline deadline = sys::Deadline::never()) {
    return with_encoded(value, [&](BytesView bytes) { return send_bytes(bytes, deadline); });
  }
  bool send_bytes(BytesView bytes, sys::Deadline deadline = sys::Deadline::never());

  /// The next message; empty at end of file: the other side was closed, or killed, everywhere.
  /// Waits without a deadline; poll first for one. Throws DecodeError when the message is no T,
  /// std::logic_error when it is a descriptor, or on a send-only or closed connection, and
  /// std::system_error (EMFILE) when a large message finds no free descriptor here; a message that
  /// was received with an error is lost.
  template <typename T>
  std::optional<T> recv() {
    const auto bytes = receive();
    if (!bytes) return std::nullopt;
    const Release after{large_};
    return decode<T>(*bytes);
  }
  std::optional<Bytes> recv_bytes();
  /// Into `buffer`; the message's length. BufferTooShort when it does not fit.
  std::optional<std::size_t> recv_bytes_into(std::span<std::byte> buffer);

  /// What a bounded attempt to receive met.
  enum class Met { message, end_of_file, nothing };
  struct Attempt {
    Met met;
    BytesView bytes;  // of the message, until the next receive
  };
  enum class Wait { no, within_patience };
  /// Receives without waiting, or waits no longer than set_patience said: one system call.
  /// `nothing` when no message came. Throws as recv.
  Attempt attempt_recv(Wait wait);
  /// How long Wait::within_patience waits, at least a microsecond; for ever until it is set.
  void set_patience(sys::Duration patience);

  /// Whether recv would return at once, waiting for that until the deadline. True at end of file.
  bool poll(sys::Deadline deadline = sys::Deadline::immediately()) const;

  /// Sends a copy of a descriptor: the other process gets one of its own for the same open file.
  /// False when the other side did not make room before the deadline: then nothing was sent.
  /// std::invalid_argument for a number below zero, std::system_error (EBADF) for one not open,
  /// (ETOOMANYREFS) when too many are on their way already.
  bool send_descriptor(int descriptor, sys::Deadline deadline = sys::Deadline::never());
  /// Empty at end of file. std::logic_error when the next message is no descriptor; that message is
  /// lost.
  std::optional<sys::Descriptor> recv_descriptor();

  /// What a bounded attempt to receive a descriptor met.
  struct DescriptorAttempt {
    Met met;
    sys::Descriptor descriptor;  // of a message
  };
  /// As recv_descriptor; `nothing` at once, or, with Wait::within_patience, after that time or when
  /// a signal handler without SA_RESTART has run: for those who must hear signals while they wait.
  DescriptorAttempt attempt_recv_descriptor(Wait wait);
  /// For poll and mp::wait. -1 when closed.
  int fileno() const { return socket_.get(); }
  bool closed() const { return !socket_; }
  void close() { socket_.reset(); }
  bool readable() const { return direction_ != Direction::send_only; }
  bool writable() const { return direction_ != Direction::receive_only; }

 private:
  friend struct Pipe;
  struct Header;
  struct Packet;
  /// Pipe's own sockets are known for what they are.
  enum class Checked { yes };
  Connection(Checked, sys::Descriptor socket, Direction direction);
  enum class Sent { yes, no_room, too_long };
  /// Gives the memory of a large message back at the end of a scope.
  struct Release {
    ~Release() { Bytes().swap(large); }
    Bytes& large;
  };
  bool send_large(BytesView bytes, sys::Deadline deadline);
  Sent send_packet(const Header& header, BytesView bytes, int descriptor, sys::Deadline deadline);
  enum class OnSignal { go_on, nothing };
  Met receive_packet(Packet& packet, int flags, OnSignal on_signal = OnSignal::go_on);
  Met wait_for_packet(Packet& packet);
  BytesView message_of(const Packet& packet);
  static sys::Descriptor descriptor_of(Packet& packet);
  /// The bytes of the next message, valid until the next call.
  std::optional<BytesView> receive();
  void check_may_send() const;
  void check_may_receive() const;

  sys::Descriptor socket_;
  Direction direction_;
  std::unique_ptr<std::byte[]> packet_;  // room for one, made when the first is received
  Bytes large_;                          // the last message that came as a memory file
};

enum class Duplex { yes, no };

/// Two ends of a channel. With Duplex::no `first` receives and `second` sends, as in Python.
struct Pipe {
  explicit Pipe(Duplex duplex = Duplex::yes);
  Connection first;
  Connection second;

 private:
  struct Ends;
  Pipe(Ends ends, Duplex duplex);
};

}  // namespace forkecho::mp
