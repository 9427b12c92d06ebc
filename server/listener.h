// Listener: a listening socket and what is done with it: opened once by the supervisor, inherited
// by everyone who accepts, closed to new clients exactly when the daemon drains.
//
// The socket is shared by all processes that inherited it: begin_drain, stop_listening and
// set_nonblocking act for all of them at once.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "common/mp/raw_shared.h"
#include "common/sys/descriptor.h"
#include "common/sys/socket_address.h"
#include "server/scoreboard.h"

namespace forkecho::server {

/// At most so many addresses may be listened on.
inline constexpr std::size_t max_listeners = 16;

/// A client, as accept gives it.
struct AcceptedClient {
  sys::Descriptor socket;  // blocking, close-on-exec, without Nagle's delay
  PeerAddress peer;
};

/// What a call of accept came to.
struct AcceptResult {
  enum class Outcome {
    client,
    none,       // nobody waits; or a signal interrupted the wait
    exhausted,  // no descriptor or no memory: the client stays queued; try again after a pause
    closed,     // the listener was shut down for good
  };
  Outcome outcome;
  AcceptedClient client;
  int error = 0;  // errno, for `exhausted`
};

class Listener {
 public:
  /// Whose the socket is, and with it the queue of those who wait.
  enum class Owner {
    daemon,
    service_manager,  // it goes on listening when the daemon stops: the door is never touched
  };

  /// Binds and listens. A stale socket file of a killed daemon is replaced; one that answers is
  /// not. Throws std::system_error whose text is fit for the user (the address in use, no
  /// permission).
  static Listener open(const sys::SocketAddress& address, int backlog);
  /// `count` (at least 1) TCP listeners on one address, each with a queue of its own
  /// (SO_REUSEPORT); the kernel gives a client to one of them by the hash of its address. The queue
  /// of one that is closed is lost (unless net.ipv4.tcp_migrate_req is set): keep them all.
  /// Throws as open; also another program of the same user that shares in the same way is refused.
  static std::vector<Listener> open_queues(const sys::SocketAddress& address, int backlog,
                                           std::size_t count);
  /// Takes over a socket that listens already (see is_listening_stream_socket), and sets up what it
  /// shares with those of open. Throws std::system_error.
  static Listener adopt(sys::Descriptor socket, Owner owner);

  Listener(Listener&&) = default;

  int fd() const { return socket_.get(); }
  Owner owner() const { return owner_; }
  /// With the port that the kernel chose, if that was left to it.
  const sys::SocketAddress& address() const { return address_; }

  AcceptResult accept() const;
  void set_nonblocking() const;
  /// From now on the kernel queues so many clients; those that it has are kept.
  void set_backlog(int backlog) const;
  bool is_nonblocking() const;
  /// From now on accept waits for a client even if the socket does not block: whether it does, is
  /// shared with the processes of another daemon that has it, too. A signal ends the wait.
  void wait_in_accept() { waits_ = true; }
  /// Children forked from now on cannot accept, and are cheaper by a mapping.
  void keep_from_children() const { demands_.memory().keep_from_children(); }
  /// Children forked from now on can accept again.
  void give_to_children() const { demands_.memory().give_to_children(); }
  /// True when a client's connection waits to be accepted.
  bool has_waiting_client() const;

  /// From here no new client is admitted, yet nobody whose handshake was complete is lost: bare
  /// SYNs are dropped before the queue is emptied (closing the socket instead would reset those who
  /// finish their handshake in between). A unix socket, whose connect is one step, loses its path.
  /// They are dropped by a packet filter, or, where that needs a privilege (CAP_NET_ADMIN, in
  /// recent kernels), by demanding of packets that they have passed no router (RFC 5082): what a
  /// listener demands, it does not demand of the last packet of a handshake. Accepted sockets
  /// inherit the demand, and accept lifts it from them.
  void begin_drain() const;
  /// After the queue was emptied: the port answers with a reset from now on, also where children
  /// hold copies of the descriptor.
  void stop_listening() const;
  /// Removes the socket file of a unix listener.
  void remove_path() const;

 private:
  enum class Sharing { no, queues };
  static Listener open(const sys::SocketAddress& address, int backlog, Sharing sharing);
  Listener(sys::Descriptor socket, sys::SocketAddress address, Owner owner)
      : socket_(std::move(socket)), address_(address), owner_(owner) {}
  sys::Descriptor socket_;
  sys::SocketAddress address_;
  Owner owner_;
  bool waits_ = false;
  // True before the first socket inherits begin_drain's demand. Processes that accept are told to
  // drain only later, and a socket from which nobody lifts the demand is deaf for ever.
  mutable mp::RawValue<std::atomic<bool>> demands_;
};

/// Whether `fd` is a socket that Listener::adopt can take: a stream, of IPv4, IPv6 or unix, that
/// listens.
bool is_listening_stream_socket(int fd);

}  // namespace forkecho::server
