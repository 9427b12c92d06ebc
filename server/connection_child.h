// ConnectionChild: what a child of the acceptor does, from its birth to its end: it serves one
// client, whom it was forked for, or, forked ahead (a spare, spares.h), the next who comes.
//
// Made by the acceptor before it forks anybody; its calls are made in the child, with every signal
// blocked, and do not return: the exit code says how the connection ended (book.h, Ending), or
// unused_spare. Nothing here allocates: each page that a newborn child writes is copied first.
//
// Signals of such a child: TERM finish, HUP a parent has died (the acceptor's death leaves a client
// unharmed, the supervisor's nobody), USR1 a spare that has nobody yet is not needed any more.
#pragma once

#include <span>

#include "server/confinement.h"
#include "server/listener.h"
#include "server/process_context.h"
#include "server/scoreboard.h"
#include "server/serve_connection.h"
#include "server/slot_table.h"
#include "server/spares.h"

namespace forkecho::server {

class ConnectionChild {
 public:
  /// In the acceptor, whose children will run the handlers that this installs; it keeps every
  /// signal blocked itself.
  explicit ConnectionChild(const ProcessContext& context);

  /// `ended`, if any, is where it says that it is about to leave.
  [[noreturn]] void serve(int socket, Slot& slot, EndedNotes* ended) const;
  /// Waits in accept, says in `slot` and to `spares` that it has a client, and serves it.
  [[noreturn]] void serve_next_client(Slot& slot, const Spares& spares, EndedNotes* ended) const;

 private:
  void begin(Slot& slot) const;
  AcceptedClient wait_for_client() const;
  void wait_for_any() const;
  void leave_listeners() const;
  void take_connection_filter() const;
  [[noreturn]] void serve_and_leave(int socket, Slot& slot, EndedNotes* ended) const;

  const std::span<const Listener> listeners_;
  const ServeOptions serve_options_;
  const FilterProgram* const connection_filter_;  // none unless --sandbox strict
};

}  // namespace forkecho::server
