// SimpleQueue<T>: Python's multiprocessing.SimpleQueue: put, get, empty and close of a Queue, and
// nothing else. Python's is a pipe with two locks, which a killed process leaves locked for ever,
// or with half a message in it; this one is a Queue (queue.h) and promises what that promises.
#pragma once

#include <cstddef>
#include <optional>

#include "common/mp/queue.h"

namespace forkecho::mp {

template <typename T>
class SimpleQueue {
 public:
  /// Throws std::system_error (ENOMEM).
  SimpleQueue() = default;

  /// Waits for room, as a pipe does: default_capacity values, default_queue_bytes bytes. False when
  /// there was none by the deadline. std::length_error for a longer value, std::logic_error when
  /// closed.
  bool put(const T& value, sys::Deadline deadline = sys::Deadline::never()) {
    return queue_.put(value, deadline);
  }
  /// The oldest value; empty when there was none by the deadline. std::logic_error when closed.
  std::optional<T> get(sys::Deadline deadline = sys::Deadline::never()) {
    return queue_.get(deadline);
  }
  /// Of the moment only.
  bool empty() const { return queue_.empty(); }
  /// This process will put and get no more.
  void close() { queue_.close(); }
  /// As Queue::lost.
  std::size_t lost() { return queue_.lost(); }

 private:
  Queue<T> queue_;
};

}  // namespace forkecho::mp
