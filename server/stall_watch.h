// StallWatch: notices that clients wait, somebody is free to take them, and nobody is taken. So the
// supervisor learns, without taking a lock or asking anybody, that the holder of the accept lock,
// or the acceptor that passes connections, lives and does nothing (stopped by SIGSTOP, or the lock
// written over).
//
// Pure bookkeeping; the supervisor calls `look` on its tick with what it sees itself.
#pragma once

#include <cstdint>

#include "common/sys/deadline.h"

namespace forkecho::server {

class StallWatch {
 public:
  /// So long nothing may happen. A worker takes a client in microseconds; on a machine that is far
  /// too busy it may take a second.
  static constexpr sys::Duration patience = std::chrono::seconds(2);

  struct Sight {
    bool clients_wait;
    bool somebody_is_free;
    std::uint64_t accepted;  // clients taken so far; any change is progress
    bool operator==(const Sight&) const = default;
  };

  /// True when nothing has happened for `patience`; then it begins anew. At least two looks are
  /// needed, so that a supervisor that was itself stopped concludes nothing.
  bool look(const Sight& sight, sys::Clock::time_point now) {
    const bool is_stalled = sight.clients_wait && sight.somebody_is_free && sight == last_;
    const auto gap = now - last_look_;
    last_look_ = now;
    last_ = sight;
    if (!is_stalled || gap > patience / 2 + patience / 4) {
      since_ = now;
      return false;
    }
    if (now - since_ < patience) return false;
    since_ = now;
    return true;
  }

 private:
  Sight last_{};
  sys::Clock::time_point since_{};
  sys::Clock::time_point last_look_{};
};

}  // namespace forkecho::server
