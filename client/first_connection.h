// The first connection of a run is made by the parent before it forks, so that a server that is not
// there is known at once; the first worker then uses it like any of its own. So a run opens no
// connection beside those that it counts.
#pragma once

#include <string>

#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"
#include "common/sys/socket_address.h"

namespace forkecho::client {

struct FirstConnection {
  sys::Descriptor socket;      // non-blocking, close-on-exec; none if it could not be made
  sys::SocketAddress address;  // of those that the target stands for, the one that answered, or
                               // else was tried last; unspecified where no name was found
  sys::Duration connect_time{0};
  std::string error;       // why there is none; one line
  bool malformed = false;  // the target is no address
};

/// Tries every address of `target`, each for `timeout`, and again until `retry_until` has passed.
/// Blocks.
FirstConnection connect_first(const std::string& target, sys::Duration timeout,
                              sys::Deadline retry_until);

/// What connect_first waits between two tries.
void pause_between_tries();

}  // namespace forkecho::client
