// The server's end of a client's TCP connection, seen from outside: which process has it, and what
// the kernel says of it. It is a duplicate of the server's own descriptor (pidfd_getfd), so that
// the very socket can be asked; while it is held, the connection does not end on the server's side.
//
// Takes the right to trace the server: root's, or that of the user who started it. What the kernel
// refuses throws std::system_error.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/sys/descriptor.h"

namespace forkecho::tests {

struct ServerSide {
  pid_t pid = 0;
  sys::Descriptor socket;
};

/// Of the connected socket `client`, among the processes of the session that `leader` leads. Waits
/// until one process alone has it: who accepts may pass it on, and closes its own copy afterwards.
/// Nothing found in time: pid 0.
ServerSide server_side_of(int client, pid_t leader);

/// What one end of a TCP connection did with the bytes that it was told to send.
struct Outflow {
  std::uint64_t sent = 0;      // bytes that left, those sent again not counted again
  std::uint64_t unsent = 0;    // bytes that TCP has and holds back
  std::uint64_t segments = 0;  // that carried what left, likewise
};
Outflow outflow_of(int socket);

/// From now on what comes for `socket` is thrown away on arrival, acknowledgments included; the
/// other side sends its data again later. By a demand that no packet meets, for which no user needs
/// a right, unlike for a filter: more hops left than a sender gives.
void drop_what_arrives(int socket);
void let_arrive(int socket);

}  // namespace forkecho::tests
