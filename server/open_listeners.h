// Opens what --listen asks for, or takes it over: from a daemon that is being replaced, or from a
// service manager. Called once, by the supervisor at its start.
#pragma once

#include <list>
#include <span>
#include <vector>

#include "server/handover.h"
#include "server/listener.h"
#include "server/options.h"

namespace forkecho::server {

/// One listener for each --listen; with --accept reuseport one for each worker and address: those
/// of the first worker, in the order of --listen, then those of the second. A listener is taken out
/// of `inherited` where there is one for it; what nobody asked for stays there. A service manager's
/// replace --listen.
/// They wait in accept where those who accept have nothing else to wait for.
/// Throws FatalError fit for the user: the address is in use or unknown, too few queues inherited.
std::vector<Listener> open_listeners(const Options& options,
                                     std::list<Inheritance::Socket>& inherited);
/// Of what open_listeners gave, one listener for each address, in their order.
std::span<const Listener> one_of_each_address(const Options& options,
                                              std::span<const Listener> listeners);

}  // namespace forkecho::server
