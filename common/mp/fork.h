// Where processes are forked. mp::Process and everything else that goes on with what its parent had
// goes through fork_process. The acceptor's children, which serve one connection and end, come from
// fork_onto.h. Nothing else in the project calls fork.
//
// In a process without threads it is _Fork (glibc 2.34): no atfork handlers run and no lock of
// malloc or stdio is taken. In one with threads it is fork, with both, so that the child, in which
// the calling thread is alone, may use them; locks of the program's own that other threads held are
// its own affair. The list of robust mutexes is set up anew in the child.
#pragma once

#include <sys/types.h>

#include <csignal>

namespace forkecho::mp {

/// What becomes of the parent's signal handlers in the child; ignored signals stay ignored.
enum class ForkHandlers { keep, reset };

/// Like fork(2): the child's pid in the parent, 0 in the child, -1 with errno (EAGAIN, ENOMEM) when
/// the system refuses, which the caller must expect and survive.
/// In the child every signal is blocked still: a signal sent to it is not lost, and cannot run a
/// handler that was made for the parent. It calls accept_signals when it is ready.
pid_t fork_process();

/// In a child: unblocks all signals and keeps the parent's handlers.
void accept_signals();

/// In a child: every caught signal gets its default action (ignored ones stay ignored). For
/// children that have nothing in common with their parent's handlers; before accept_signals.
void reset_signal_handlers();

/// In a child: asks the kernel to send `signal` to it when the thread of `parent` that forked it
/// ends, and leaves at once with exit code `orphaned` when `parent` has ended already (the race
/// that PR_SET_PDEATHSIG itself leaves open). For children of a thread that may end before its
/// process there is lifeline.h. A change of credentials and a fork lose the wish. `other_parent`,
/// if given, is a process that may have adopted the child without reason to leave.
void die_with_parent(pid_t parent, int signal = SIGKILL, pid_t other_parent = 0);

/// fork_process for a caller that holds the RegistryGuard (child_registry.h), so that nobody reaps
/// the child before it is registered.
pid_t fork_guarded(ForkHandlers handlers);

/// Exit code of a daemon child that never ran its target: its parent had ended before.
inline constexpr int orphaned = 113;

}  // namespace forkecho::mp
