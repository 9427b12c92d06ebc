// AcceptWait: how an acceptor waits for clients, signals and what else it must hear, all at once.
//
// Alone it polls. One of several that share the listeners waits in an epoll that asks for exclusive
// wake-ups, so that a client wakes one of them and not all; it is the one that was the first to
// register of those that have nothing else to do. What such a wake-up was given to somebody for who
// then could not accept (he was killed, or the limit was reached), others are not told of: so
// whoever begins to wait for clients looks at once, and again after every `unheard`, whatever else
// is heard.
//
// The acceptor alone uses it; its children close it (fd), since who waits in it takes wake-ups
// away. Not for threads.
#pragma once

#include <chrono>
#include <span>

#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"
#include "server/listener.h"

namespace forkecho::server {

class AcceptWait {
 public:
  /// A client that nobody was told of waits so long at most.
  static constexpr auto unheard = std::chrono::seconds(1);

  enum class Acceptors { one, several };
  /// `signals` polls readable when there are some, `more` is another such descriptor, or -1. Throws
  /// std::system_error.
  AcceptWait(std::span<const Listener> listeners, int signals, int more, Acceptors acceptors);

  struct Heard {
    bool signals = false;
    bool clients = false;
    bool nothing_asked = false;  // the system would not tell: both may be
  };
  /// Until something is heard or the deadline passes. Clients are heard only `for_clients`.
  Heard wait(bool for_clients, sys::Deadline deadline);
  /// The epoll's; -1 of one.
  int fd() const { return epoll_ ? epoll_.get() : -1; }

 private:
  Heard poll_all(bool for_clients, sys::Deadline deadline) const;
  Heard wait_for_own(sys::Deadline deadline);

  std::span<const Listener> listeners_;
  int signals_;
  int more_;
  sys::Descriptor epoll_;  // none of one
  sys::Deadline look_at_ = sys::Deadline::immediately();
};

}  // namespace forkecho::server
