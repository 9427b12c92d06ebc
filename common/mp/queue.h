// Queue<T>: values from any process that has it to any other, first in, first out; Python's
// multiprocessing.Queue without its feeder thread, so that a value is in the queue when put
// returns.
//
//   mp::Queue<std::string> queue;            // before the fork
//   queue.put("hello");                      // in one process
//   queue.get();                             // in another: std::optional with "hello"
//
// Wherever a process is killed, in put or in get: the others go on, no value is torn, none comes
// twice, and those of one producer come in their order. A value is put from one moment on, and
// taken from one moment on; a getter killed in the few instructions between taking a value and
// having it loses it, and lost() counts it.
//
// T is what codec.h lets cross; a plain T of at most 4096 bytes never touches the heap. Make the
// queue before the fork; children share it. Safe between processes and threads, not in signal
// handlers.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/mp/codec.h"
#include "common/mp/message_ring.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

/// Of a queue whose maker names no other: the limit of the semaphore with which Python counts.
inline constexpr long default_capacity = 32767;
/// The bytes that a queue holds, and so the longest message, unless its maker names another limit.
inline constexpr std::size_t default_queue_bytes = std::size_t{16} << 20;

template <typename T>
class Queue {
 public:
  /// Holds at most `maxsize` values (zero or less: default_capacity, as in Python) of `bytes`
  /// encoded bytes in all (1 to 2^32 - 1), which one value may have, too. Memory is taken as it is
  /// used. Values lie in one piece each, so that a value of more than half of `bytes` may have to
  /// wait for more room than its own length. Throws std::invalid_argument for bytes (or a maxsize
  /// above 2^31) outside their range, std::system_error (ENOMEM).
  explicit Queue(long maxsize = default_capacity, std::size_t bytes = default_queue_bytes)
      : ring_(static_cast<std::size_t>(maxsize > 0 ? maxsize : default_capacity), bytes) {
    must_cross<T>();
  }

  /// True: the value is in the queue, and will be got even if the caller dies now. False: the queue
  /// was full until the deadline (or another process was stopped in the middle of its put).
  /// std::length_error when the value is too long for the queue, std::logic_error when it is
  /// closed.
  bool put(const T& value, sys::Deadline deadline = sys::Deadline::never()) {
    check_open("put to");
    return with_encoded(value, [&](BytesView bytes) { return ring_.put(bytes, deadline); });
  }
  /// What is full now may not be a moment later; and the reverse.
  bool put_nowait(const T& value) { return put(value, sys::Deadline::immediately()); }

  /// The oldest value; empty: there was none until the deadline. std::logic_error when closed;
  /// DecodeError, or what T's own decode throws: then the value is gone.
  std::optional<T> get(sys::Deadline deadline = sys::Deadline::never()) {
    check_open("get from");
    std::array<std::byte, inbox_bytes> small;
    Inbox inbox{small, {}};
    const auto bytes = ring_.get(inbox, deadline);
    if (!bytes) return std::nullopt;
    return decode<T>(*bytes);
  }
  /// What is empty now may not be a moment later; and the reverse.
  std::optional<T> get_nowait() { return get(sys::Deadline::immediately()); }

  /// These three speak of the moment only: other processes have changed it when they return.
  std::size_t qsize() const { return ring_.size(); }
  bool empty() const { return ring_.size() == 0; }
  /// As many values as `maxsize`. A queue whose bytes are used up is not full in this sense.
  bool full() const { return ring_.size() >= ring_.items(); }
  std::size_t maxsize() const { return ring_.items(); }

  /// This process will put and get no more; others may. Again: without effect.
  void close() { closed_ = true; }
  /// How many values went with a getter who was killed before it had them, since the beginning.
  std::size_t lost() { return ring_.lost(); }

 protected:
  MessageRing& ring() { return ring_; }

 private:
  /// A plain value as it is; what is composed, up to a size that a stack does not mind.
  static constexpr std::size_t inbox_bytes =
      detail::Plain<T> ? std::min<std::size_t>(sizeof(T), 4096) : 1024;

  void check_open(const char* what) const {
    if (closed_) throw std::logic_error(std::string(what) + " a closed queue");
  }

  MessageRing ring_;
  std::atomic<bool> closed_ = false;
};

}  // namespace forkecho::mp
