// The end of a connection that is not served: refused, or the system had no process for it. Called
// by whoever accepts; never blocks.
#pragma once

namespace forkecho::server {

/// Says the end before anything else, and leaves nothing unread that would make it a reset: the
/// client sees an orderly end of the stream, also if it goes on sending. The caller closes the
/// socket.
void turn_away(int socket);

}  // namespace forkecho::server
