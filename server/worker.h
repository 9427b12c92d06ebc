// What pool and event workers share: their signals.
//
// From the supervisor: USR1 retire (accept nobody more, leave when idle), TERM drain (serve the
// queue, then leave), USR2 the drain timeout has passed (finish, then leave). A worker that blocks
// in accept is interrupted by them; the supervisor repeats them until it is gone, since one can
// fall between a check and a wait.
#pragma once

namespace forkecho::server {

/// What the supervisor wants of this worker; only ever becomes more urgent.
enum class Wish : int { serve, retire, drain, finish };

/// Installs the handlers; `on_finish` runs in the handler of USR2 and must be async-signal-safe.
void install_worker_signals(void (*on_finish)());
Wish current_wish();
/// USR1 has come, whatever came beside it: others accept now, and this worker never does again.
bool retired();

}  // namespace forkecho::server
