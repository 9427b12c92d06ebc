// The acceptor of a pool with `--accept passing`: it accepts, and passes every connection on to
// whichever worker is idle. It serves nobody, and keeps nothing.
//
// The workers wait at the other end of one pipe (mp::Connection), and say that they are idle by
// waiting there. The supervisor holds both ends: who was passed on and not taken yet waits in the
// pipe for the next worker, whoever dies. A connection that dies with the acceptor itself, between
// accept and pass, is on neither side of the books.
//
// Signals as a worker's (worker.h): USR1 leave at once, TERM and USR2 pass on the queue, then
// leave.
#pragma once

#include "server/process_context.h"

namespace forkecho::server {

/// Connections on their way in the pipe, about: it accepts no more until workers take them, so that
/// a full pool leaves its clients in the kernel's queue.
inline constexpr int passed_ahead = 8;

void run_passer(const ProcessContext& context);

}  // namespace forkecho::server
