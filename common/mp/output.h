// What a process has printed and not yet written, and what it has read ahead and not yet used:
// stdio's buffers, those of std::cout included as long as it is synchronised with stdio. Written
// before a fork, or parent and child would both write it, and at the end of a child.
//
// For the calling process. Other threads may print, open and close streams, and wait for input,
// meanwhile; what they print just now may be written on both sides of a fork.
#pragma once

namespace forkecho::mp {

/// Writes what every stream has buffered. False when some of it was lost, now or before, on stdout
/// or any other stream.
bool flush_output();

/// In a child whose parent could not write its own: the loss is the parent's, and nothing for the
/// child to try again.
void forget_inherited_output();

/// In a child with a standard input of its own: what its parent's stdin had read ahead (a line, a
/// whole block of a pipe) or met (end of file) is the parent's. Touches nothing when there is none.
/// What std::cin holds after sync_with_stdio(false) is not reached.
void forget_inherited_input();

}  // namespace forkecho::mp
