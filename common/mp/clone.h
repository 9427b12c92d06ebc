// clone_without_handlers: a fork whose child has none of its parent's signal handlers. The kernel
// does in one call (clone3 with CLONE_CLEAR_SIGHAND, Linux 5.5) what takes 62 otherwise, a tenth of
// what a process costs.
//
// For fork.cpp alone. A raw clone3 would leave the C library with its parent's thread id and
// without its list of robust mutexes, which would then not be robust; so both are seen to here,
// with what the kernel tells of where they are, and wherever something is not as expected the
// answer is "not so".
#pragma once

#include <sys/types.h>

#include <optional>

namespace forkecho::mp {

/// As _Fork: the child's pid, 0 in the child, -1 with errno (EAGAIN, ENOMEM). Empty: not to be had
/// here (an old kernel, a filter of system calls, threads, a robust mutex that the caller holds);
/// use _Fork and reset_signal_handlers.
std::optional<pid_t> clone_without_handlers();

}  // namespace forkecho::mp
