// What makes a process that forks again and again (fork_onto.h) cheap to fork: its children have
// little of it, and it writes nowhere where a fork makes pages copy-on-write.
//
// Each page that a parent has touched costs a fork some 0.15 us, to share and to leave again; each
// that both sides write, 0.7 us and more on either side. Of forkechod's acceptor, with 40 pages of
// heap left by the command line's parser, that was a tenth of all that a connection costs.
//
// For a process of one thread. Children made otherwise than by fork_onto must not be made while
// run_lean runs, or after keep_heap_from_children.
#pragma once

#include <functional>

namespace forkecho::mp {

/// Calls `loop` on a stack that children do not have, and switches off the kernel's restartable
/// sequences, which write to the C library's record of the thread on both sides of every fork. What
/// `loop` throws is thrown. Throws std::system_error (ENOMEM). Where children have no stack of
/// their own (own_stack.h), it just calls.
void run_lean(const std::function<void()>& loop);

/// From now on children have no heap: what was allocated by now does not exist for them, and
/// reading it ends them (SIGSEGV). Static objects and the caller's stack below run_lean do. Does
/// nothing where the C library's own record of the thread cannot be told from the heap (a
/// dynamically linked program), or children have no stack of their own.
void keep_heap_from_children();

}  // namespace forkecho::mp
