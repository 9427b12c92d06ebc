// What ps shows of a process that serves a connection: "forkechod: serving 127.0.0.1:40112".
#pragma once

#include "server/scoreboard.h"

namespace forkecho::server {

/// Without a heap allocation, whose page a child just forked would have to copy first.
void show_in_title(const PeerAddress& peer);

}  // namespace forkecho::server
