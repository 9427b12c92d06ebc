// Socket activation: listening sockets that a service manager (systemd's .socket unit) opened and
// passes to the daemon, by the protocol of sd_listen_fds(3): descriptors 3, 4, ... , as many as
// LISTEN_FDS says, for the process LISTEN_PID, with the names LISTEN_FDNAMES.
//
// main takes them before anything else is opened; they replace --listen. They stay the manager's:
// when the daemon stops, it leaves them and whoever waits in their queues untouched, for the next
// daemon that is started with them.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "server/listener.h"

namespace forkecho::server {

/// The variables as they stand in the environment; a null pointer is an unset one.
struct ListenVariables {
  const char* pid = nullptr;    // LISTEN_PID
  const char* fds = nullptr;    // LISTEN_FDS
  const char* names = nullptr;  // LISTEN_FDNAMES
};

/// The names of the sockets passed, in the order of their descriptors; none when the variables are
/// for another process than `self` or not set. A socket without a name is "unknown", as in systemd.
/// Throws FatalError(config) on variables that nobody can have meant. Pure.
std::vector<std::string> parse_listen_variables(const ListenVariables& variables, pid_t self);

/// Takes what the environment names, and removes the variables from it, whomever they are for. No
/// descriptor stays open to programs executed later. Throws FatalError(config) when one is not a
/// listening stream socket. Not safe between threads (the environment).
std::vector<Listener> take_passed_sockets();

}  // namespace forkecho::server
