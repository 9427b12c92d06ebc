// The only place that waits for children. Exit codes are Python's: N for exit(N), -S for a death by
// signal S. Every exit that is reaped here is also delivered to the Process that owns the child, if
// there is one (child_registry.h).
//
// None of these blocks except reap_before. Only the parent of a child may reap it. Safe between
// threads: when two wait for one child, one reaps it and the other is told so (none_left), its exit
// code delivered before.
#pragma once

#include <sys/types.h>

#include <optional>

#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::mp {

struct Exit {
  pid_t pid;
  int exitcode;
};

/// Delivered to a Process whose child was reaped by somebody else: by a plain wait, or by the
/// kernel while SIGCHLD is ignored. The true exit code is lost; the pid may already belong to
/// another.
inline constexpr int exit_unknown = 255;

/// What one look at a set of children found.
struct Reaped {
  std::optional<Exit> exit;  // empty: nobody in the set has ended
  bool none_left = false;    // the set is empty: there is nobody to wait for
  bool delivered = false;    // the exit was that of a Process, which knows it now
};

/// Reaps any child that has ended.
Reaped reap_any();
/// Reaps `pid` if it has ended; none_left when it is no child of the caller, or no longer: a
/// Process that owns it gets exit_unknown.
Reaped reap_one(pid_t pid);
/// Reaps a member of process group `group`, adopted children included.
Reaped reap_group(pid_t group);
/// Some child that has ended, left unreaped; empty when there is none. Who wants to note how it
/// ended before its pid can be another's looks here first, and then calls reap_one.
std::optional<Exit> peek_ended();
/// The same of child `pid` alone, at a cost that does not grow with the number of children, as a
/// look at all of them does (measured: 30 ns for each that lives). none_left when it is no child of
/// the caller, or no longer.
Reaped peek_one(pid_t pid);
/// The pid of some child that was stopped by a signal (SIGSTOP, SIGTTIN ...) since it was last told
/// of; empty when there is none.
std::optional<pid_t> take_stopped();
/// Whether `pid` is a child of the caller that nobody has reaped: its number is not another's.
bool is_unreaped_child(pid_t pid);

/// A descriptor that polls readable when `pid` has ended (pidfd_open, Linux 5.3). Close-on-exec.
/// Throws std::system_error: ESRCH when there is no such process, EMFILE.
sys::Descriptor open_sentinel(pid_t pid);
/// The same; readable at once when there is no such process. Throws std::system_error (EMFILE).
sys::Descriptor open_sentinel_or_ended(pid_t pid);
/// Polls readable from the beginning: stands for the sentinel of what has ended. Throws
/// std::system_error (EMFILE).
sys::Descriptor open_ended_sentinel();

/// Waits until child `pid` ends and reaps it; empty when the deadline passes first, and when it is
/// no child of the caller (any more). Without a deadline it is one blocking waitid; with one it
/// sleeps on the child's pidfd, and throws std::system_error (EMFILE) when it cannot open that.
std::optional<Exit> reap_before(pid_t pid, sys::Deadline deadline);

}  // namespace forkecho::mp
