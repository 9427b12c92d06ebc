// How a process of mp ends: leave() in a child; the exit of main by itself. Both first see to the
// children, as Python does: daemon children are ended, the others are waited for.
//
// An end without this (_exit, abort, a signal, an exception that leaves main) waits for nobody:
// then the kernel ends the daemon children, and the others go on as orphans.
#pragma once

#include "common/sys/deadline.h"

namespace forkecho::mp {

/// How long a daemon child has to end by itself after its SIGTERM; then comes SIGKILL.
inline constexpr sys::Duration daemon_grace = std::chrono::seconds(1);

/// Ends the calling process with exit code `code` (0..255; any other is 255, so that no failure
/// becomes a 0 by its last eight bits): stdio's buffers are written (those of
/// std::cout, too, as long as it is synchronised with stdio), children are seen to, destructors and
/// exit handlers do not run. Output that cannot be written makes 0 a 1.
[[noreturn]] void leave(int code);

/// Ends the calling process's daemon children (SIGTERM, after daemon_grace SIGKILL), and waits for
/// the others; detached ones are left alone, and daemons that this process may not signal (EPERM).
/// What leave and the exit of main do.
void finish_children();

/// From now on the calling process's exit (exit(3), a return from main) calls finish_children.
/// Process::start sees to it.
void finish_children_at_exit();

}  // namespace forkecho::mp
