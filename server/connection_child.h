// ConnectionChild: what a child of the acceptor does, from its birth to its end: it serves one
// client, whom it was forked for, or, forked ahead (a spare, spares.h), the next who comes.
//
// Made by the acceptor before it forks anybody. A child begins with every signal blocked, on a
// stack of its own (common/mp/fork_onto.h); its exit code says how the connection ended (book.h,
// Ending), or unused_spare. Nothing in it allocates: each page that a newborn child writes is
// copied first.
//
// Signals of such a child: TERM finish, HUP a parent has died (the acceptor's death leaves a client
// unharmed, the supervisor's nobody), USR1 a spare that has nobody yet is not needed any more.
#pragma once

#include <array>
#include <span>

#include "server/confinement.h"
#include "server/listener.h"
#include "server/process_context.h"
#include "server/scoreboard.h"
#include "server/serve_connection.h"

namespace forkecho::server {

class ConnectionChild {
 public:
  /// In the acceptor, whose children will run the handlers that this installs; it keeps every
  /// signal blocked itself.
  explicit ConnectionChild(const ProcessContext& context);

  /// Children close `fd`, which is the acceptor's alone.
  void keep_from_children(int fd) { acceptors_own_fd_ = fd; }

  /// A child that serves `socket`. Its pid; -1 with errno when the system refuses.
  pid_t fork_for(int socket, Slot& slot) const;
  /// A spare: waits in accept, says in `slot` and by `announcements` (Spares::fd) that it has a
  /// client, and serves it.
  pid_t fork_ahead(Slot& slot, int announcements) const;

  /// Whether children need what was allocated before their fork (common/mp/lean_parent.h).
  bool reads_heap() const { return waits_ || connection_filter_ != nullptr; }

 private:
  // As mp::fork_onto calls them.
  [[noreturn]] static void begin_serving(const void* self, long socket, void* slot);
  [[noreturn]] static void begin_waiting(const void* self, long announcements, void* slot);
  [[noreturn]] void serve(int socket, Slot& slot) const;
  [[noreturn]] void serve_next_client(Slot& slot, int announcements) const;
  void begin(Slot& slot) const;
  AcceptedClient wait_for_client() const;
  void wait_for_any() const;
  void leave_listeners() const;
  void take_connection_filter() const;
  [[noreturn]] void serve_and_leave(int socket, Slot& slot) const;

  const std::span<const Listener> listeners_;
  std::array<int, max_listeners> listener_fds_;
  int acceptors_own_fd_ = -1;  // none
  const bool waits_;           // children wait for clients themselves
  const ServeOptions serve_options_;
  const FilterProgram* const connection_filter_;  // none unless --sandbox strict
};

}  // namespace forkecho::server
