// PortBudget: how many connections this machine's local ports allow, so that a run can warn before
// they run out. The client closes first, so its port stays taken (TIME_WAIT) after the connection.
// What is read comes from /proc; what is decided is pure.
#pragma once

#include <cstdint>
#include <string>

#include "common/sys/deadline.h"

namespace forkecho::client {

struct PortBudget {
  std::uint64_t ports = 0;    // of one source towards one target
  std::uint64_t sources = 1;  // addresses to connect from, over all targets
  sys::Duration taken_for{};  // after the close
  std::uint64_t all() const { return ports * sources; }
};

/// Of TCP connections. `loopback`: the kernel may take such ports again after a second
/// (net.ipv4.tcp_tw_reuse 2, Linux's default since 4.19). `folder` is where the kernel tells it.
PortBudget read_port_budget(std::uint64_t sources, bool loopback,
                            const std::string& folder = "/proc/sys/net/ipv4");

/// A warning with its remedy when `connections`, made within `taken_for`, use more than four fifths
/// of the budget; empty when not, and when nothing is known of the ports.
std::string port_warning(const PortBudget& budget, double connections);

}  // namespace forkecho::client
