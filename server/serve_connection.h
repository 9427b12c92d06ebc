// serve_connection: one client from its first byte to its last, with plain blocking calls. The same
// for a child of fork mode, a worker of the pool and the iterative server.
//
// The client's end of sending (a half-close) is honoured: everything received is answered before
// the connection is closed. No allocation; the buffers are static, so that a fresh process touches
// only the pages that the traffic needs.
//
// One connection at a time in a process: the state that finish_current_connection reaches from a
// signal handler is the process's own.
#pragma once

#include <atomic>

#include "server/book.h"
#include "server/options.h"
#include "server/scoreboard.h"

namespace forkecho::server {

struct ServeOptions {
  Transform transform = Transform::unicode;
  Timeouts timeouts;
  const std::atomic<bool>* stress = nullptr;  // the supervisor's word (stress.h); or nobody's
};

/// Serves `socket` until its client ends, a timeout passes or finish_current_connection is called.
/// Leaves the socket open; closing it is the caller's, or the process's end's. `meter` grows as
/// bytes move. Never throws: an error of the connection is its end.
Ending serve_connection(int socket, const ServeOptions& options, Meter& meter);

/// The upper end of a stack for a process that does nothing but serve one connection: it lies with
/// the rest of what such a process writes (common/mp/fork_onto.h).
void* serving_stack();

/// From a signal handler: the connection being served, and every later one, is brought to its end
/// as soon as what was received is answered. Async-signal-safe. May be called again, and should be,
/// until the process is gone: one call can fall between a check and a wait.
void finish_current_connection();
/// True once it was called in this process.
bool finishing();

/// Ends a connection that its client did not end: says so (half-close), discards what still comes
/// so that the kernel does not answer it with a reset that would eat our last bytes, within a bound
/// of time (one second) and volume (16 MiB).
void close_in_order(int socket);

}  // namespace forkecho::server
