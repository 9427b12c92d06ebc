// The acceptor: fork mode's one loop. It accepts, admits, forks a child for each connection and
// reaps it; the child serves with serve_connection and leaves by _exit.
//
// Signals, from the supervisor: TERM drain (serve the queue, then end when the last child has),
// USR1 retire (accept nobody more, end when the last child has), USR2 the drain timeout has passed
// (every child is told to finish), QUIT kill the children and end. They stay blocked and are taken
// in the loop, which a signalfd wakes, so that none is acted on inside a newborn child. An acceptor
// that is killed leaves its children serving; the supervisor adopts them.
#pragma once

#include "server/process_context.h"
#include "server/slot_table.h"

namespace forkecho::server {

/// Runs until drained or told to end. `slots` is one line of the status page for each connection
/// that may be active at once: slots.size() is this acceptor's limit.
void run_acceptor(const ProcessContext& context, SlotTable& slots);

}  // namespace forkecho::server
