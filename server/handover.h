// The handover: what a running daemon gives to the program that replaces it (upgrade.h), by the
// very same open descriptors, inherited through exec; one environment variable says which is which.
// And what any daemon begins with: a handover, sockets of a service manager (socket_activation.h),
// or nothing.
//
// The two talk over one descriptor more, the channel, in messages (SOCK_SEQPACKET):
//
//   new -> old   "ready 7 9"        it serves; these descriptors of the handover it has taken
//   new -> old   "error 69 LINE"    it does not start; exit code and the line for the user
//   old -> new   "yours"            from now on the new one is the daemon
//   new -> old   end of stream      it has taken up its duties
//
// An end of the stream that comes to the new one before "yours" says that the old one has died:
// then the new one is the daemon all the same.
#pragma once

#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/sys/descriptor.h"
#include "server/listener.h"

namespace forkecho::server {

inline constexpr const char* handover_variable = "FORKECHOD_HANDOVER";

/// Numbers of descriptors; -1 is none.
struct Handover {
  struct Socket {
    int fd = -1;
    Listener::Owner owner = Listener::Owner::daemon;
    std::string text;  // what --listen said; empty for a service manager's
    bool operator==(const Socket&) const = default;
  };
  int channel = -1;
  int pidfile = -1;               // locked
  int control = -1;               // listens
  std::vector<int> predecessors;  // pidfds of daemons that were replaced, the old one included
  std::vector<Socket> listeners;

  /// All of them.
  std::vector<int> descriptors() const;
  bool operator==(const Handover&) const = default;
};

/// For the environment: no newline, no quote, whatever paths contain. Pure.
std::string encode(const Handover& handover);
/// Empty on anything that encode does not write. Pure.
std::optional<Handover> decode_handover(std::string_view text);

/// What a daemon begins with, owned.
struct Inheritance {
  struct Socket {
    Listener listener;
    std::string text;  // as in Handover
  };
  std::list<Socket> listeners;
  sys::Descriptor channel;
  sys::Descriptor pidfile;
  sys::Descriptor control;
  std::vector<sys::Descriptor> predecessors;

  /// From a daemon that is to be replaced.
  bool is_handover() const { return static_cast<bool>(channel); }
};

/// Takes what the environment names, and removes it from there. To be called before anything is
/// opened. Throws FatalError(config) on what cannot be taken. Not safe between threads.
Inheritance take_inheritance();

/// The listener among `inherited` that `text`, or where it leads (`addresses`), asks for, removed
/// from it; empty when there is none.
std::optional<Listener> take_matching(std::list<Inheritance::Socket>& inherited,
                                      const std::string& text,
                                      const std::vector<sys::SocketAddress>& addresses);

}  // namespace forkecho::server
