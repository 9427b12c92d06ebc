// AcceptWait: how an acceptor waits for clients, signals and what else it must hear, all at once.
//
// Alone it polls. One of several that share the listeners waits in an epoll that asks for exclusive
// wake-ups, so that a client wakes one of them and not all; it is the one that was the first to
// register of those that have nothing else to do. What such a wake-up was given to somebody for who
// then could not accept (he was killed, or the limit was reached), others are not told of: so
// whoever begins to wait for clients looks at once, and again after every `unheard`.
//
// The acceptor alone uses it. Its children inherit the epoll and do nothing with it: of a dead
// acceptor it lives on in them, and takes no wake-up from anybody, since nobody waits in it. Not
// for threads.
#pragma once

#include <chrono>
#include <optional>
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
  /// Until something is heard, the deadline passes, or a signal's handler has run. Clients are
  /// heard only `for_clients`.
  Heard wait(bool for_clients, sys::Deadline deadline);

 private:
  Heard poll_all(bool for_clients, sys::Deadline deadline) const;
  Heard wait_for_own(sys::Deadline deadline);

  std::span<const Listener> listeners_;
  int signals_;
  int more_;
  sys::Descriptor epoll_;  // none of one
  bool look_first_ = true;
};

}  // namespace forkecho::server
