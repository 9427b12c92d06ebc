#include "server/turn_away.h"

#include <sys/socket.h>

namespace forkecho::server {

void turn_away(int socket) {
  shutdown(socket, SHUT_WR);
  // MSG_TRUNC discards without a copy. What comes later is answered with a reset, but behind the
  // end that we have said: a client that has seen an end of the stream reads no error after it.
  recv(socket, nullptr, 1 << 20, MSG_DONTWAIT | MSG_TRUNC);
}

}  // namespace forkecho::server
