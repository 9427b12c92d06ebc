#include "server/open_listeners.h"

#include <string>
#include <system_error>
#include <utility>

#include "common/sys/socket_address.h"
#include "server/exit_code.h"

namespace forkecho::server {
namespace {

/// How many listeners there are on each address.
std::size_t queues_of(const Options& options) {
  return has_listeners_of_their_own(options) ? options.pool.start : 1;
}

std::vector<Listener> open_queues(const sys::SocketAddress& address, const Options& options) {
  try {
    if (has_listeners_of_their_own(options))
      return Listener::open_queues(address, options.backlog, queues_of(options));
    std::vector<Listener> one;
    one.push_back(Listener::open(address, options.backlog));
    return one;
  } catch (const std::system_error& error) {
    throw FatalError(ExitCode::unavailable, error.what());
  }
}

/// All queues of one address, or none: fewer than there are workers would leave some without.
std::vector<Listener> take_queues(std::list<Inheritance::Socket>& inherited,
                                  const std::string& text, const sys::ResolvedAddresses& resolved,
                                  const Options& options) {
  std::vector<Listener> taken;
  while (taken.size() < queues_of(options)) {
    auto listener = take_matching(inherited, text, resolved.addresses);
    if (!listener) break;
    taken.push_back(std::move(*listener));
  }
  if (!taken.empty() && taken.size() != queues_of(options))
    throw FatalError(ExitCode::config,
                     "--accept reuseport: an upgrade cannot add queues to those that there are; "
                     "stop the daemon and start it");
  return taken;
}

std::vector<Listener> listeners_of(const std::string& text, const Options& options,
                                   std::list<Inheritance::Socket>& inherited) {
  const sys::ResolvedAddresses resolved = sys::resolve(text);
  std::vector<Listener> taken = take_queues(inherited, text, resolved, options);
  if (!taken.empty()) return taken;
  if (!resolved.error.empty())
    throw FatalError(resolved.malformed ? ExitCode::usage : ExitCode::unavailable, resolved.error);
  return open_queues(resolved.addresses.front(), options);
}

/// One queue of each address for the first worker, then for the second, and so on.
std::vector<Listener> by_worker(std::vector<std::vector<Listener>> by_address) {
  std::vector<Listener> listeners;
  for (std::size_t worker = 0; worker < by_address.front().size(); ++worker) {
    for (auto& queues : by_address) listeners.push_back(std::move(queues[worker]));
  }
  return listeners;
}

bool come_from_service_manager(const std::list<Inheritance::Socket>& inherited) {
  return !inherited.empty() &&
         inherited.front().listener.owner() == Listener::Owner::service_manager;
}

std::vector<Listener> take_all(std::list<Inheritance::Socket>& inherited, const Options& options) {
  if (has_listeners_of_their_own(options))
    throw FatalError(ExitCode::config,
                     "--accept reuseport: a service manager's sockets have one queue each; use "
                     "--accept shared with them");
  std::vector<Listener> listeners;
  for (Inheritance::Socket& socket : inherited) listeners.push_back(std::move(socket.listener));
  inherited.clear();
  return listeners;
}

std::vector<Listener> make_listeners(const Options& options,
                                     std::list<Inheritance::Socket>& inherited) {
  if (come_from_service_manager(inherited)) return take_all(inherited, options);
  std::vector<std::vector<Listener>> by_address;
  for (const std::string& text : options.listen)
    by_address.push_back(listeners_of(text, options, inherited));
  return by_worker(std::move(by_address));
}

/// Only a worker of the pool with one listener has nothing else to wait for.
bool may_wait_in_accept(const Options& options, std::size_t listeners) {
  return listeners == queues_of(options) && !passes_connections(options) &&
         (options.mode == Mode::pool || options.mode == Mode::iterative);
}

}  // namespace

std::vector<Listener> open_listeners(const Options& options,
                                     std::list<Inheritance::Socket>& inherited) {
  std::vector<Listener> listeners = make_listeners(options, inherited);
  const bool wait = may_wait_in_accept(options, listeners.size());
  for (Listener& listener : listeners)
    wait ? listener.wait_in_accept() : listener.set_nonblocking();
  return listeners;
}

std::span<const Listener> one_of_each_address(const Options& options,
                                              std::span<const Listener> listeners) {
  return has_listeners_of_their_own(options) ? listeners.first(options.listen.size()) : listeners;
}

}  // namespace forkecho::server
