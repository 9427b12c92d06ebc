// wait: for the first of several events, as Python's multiprocessing.connection.wait: the end of
// processes, messages on connections, anything that a descriptor polls readable for.
//
//   for (const mp::Waitable& ready : mp::wait({worker, pipe.first, listener_fd})) {
//     if (ready == pipe.first) ...
//   }
//
// Nothing is received and nobody is reaped: what is ready stays so until it is looked at.
// Of the calling process; safe between threads as long as nobody closes what is waited for.
#pragma once

#include <vector>

#include "common/sys/deadline.h"

namespace forkecho::mp {

class Connection;
class ParentProcess;
class Process;

/// Something that wait can wait for, known by its descriptor. Does not own it.
class Waitable {
 public:
  // Implicit, so that a list may name them as they are.
  Waitable(Process& process);       // NOLINT: its end; std::logic_error when it was not started
  Waitable(ParentProcess& parent);  // NOLINT
  Waitable(const Connection& connection);  // NOLINT: a message, or the end of the connection
  Waitable(int descriptor) : descriptor_(descriptor) {}  // NOLINT: readable, at its end, in error

  int descriptor() const { return descriptor_; }
  friend bool operator==(const Waitable& a, const Waitable& b) {
    return a.descriptor_ == b.descriptor_;
  }

 private:
  int descriptor_;
};

/// Those that are ready, in the order given, as soon as one is; none when the deadline passed
/// first. Throws std::invalid_argument for a descriptor that is not open, and for an empty list
/// without a deadline, which nothing could end.
std::vector<Waitable> wait(const std::vector<Waitable>& waitables,
                           sys::Deadline deadline = sys::Deadline::never());

}  // namespace forkecho::mp
