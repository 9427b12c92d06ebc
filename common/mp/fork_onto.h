// fork_onto: the cheapest way to a process that runs one function and ends. Its child does not come
// back to the caller: it begins in a function of its own, on a stack of its own.
//
// Why a stack: of each page that parent and child both write, the child gets a copy, and the parent
// faults as well. The caller's stack is such a page after every fork, and the C library's record of
// the thread another (its number is entered in the child). A stack that lies where the child writes
// anyway costs nothing.
//
// What it costs: the C library believes in the child to be the parent. The child's function must
// do without anything that asks it who it is: threads, mutexes that are robust or check their
// owner, mp's objects. System calls, signals, memory and abort are as ever.
#pragma once

#include <sys/types.h>

namespace forkecho::mp {

/// Never returns: ends with _exit or exit_group.
using ForkedFunction = void (*)(const void* self, long number, void* what);

/// What it is told. All of it passes in registers: of the caller's stack the child may have
/// nothing.
struct ForkedArguments {
  const void* self = nullptr;
  long number = 0;
  void* what = nullptr;
};

/// Like fork(2) without its handlers: the child's pid, or -1 with errno (EAGAIN, ENOMEM) when the
/// system refuses, which the caller must expect and survive. The child calls
/// `function(self, number, what)` with the caller's signal mask and handlers; `stack_top` is the
/// upper end of memory that is private to the process (aligned to 16), which the caller itself
/// never uses. There is no guard below it: `function` must not recurse without bounds.
///
/// In a process of one thread. Where it has not been written for the machine, or a sanitizer wants
/// to know of every stack (own_stack.h), the child stays on a copy of the caller's.
///
/// `exit_signal` comes to the caller when the child has ended, instead of SIGCHLD: one that is
/// real-time queues, with pid and exit code, for each child that ends. The kernel drops it where
/// the user has more signals pending than he may (RLIMIT_SIGPENDING). To a new parent it is
/// SIGCHLD.
pid_t fork_onto(void* stack_top, ForkedFunction function, ForkedArguments arguments,
                int exit_signal);

}  // namespace forkecho::mp
