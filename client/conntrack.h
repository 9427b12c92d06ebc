// Whether this machine's table of tracked connections (nf_conntrack, loaded by a firewall or a
// container engine) has been filled. When it is full, the kernel drops new connections in silence,
// and a server is blamed for timeouts that it never caused: a run of crr fills it within a minute.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace forkecho::client {

struct Conntrack {
  std::uint64_t tracked = 0;
  std::uint64_t limit = 0;
};

/// Of the machine; empty where nothing is tracked. `folder` is where the kernel tells it.
std::optional<Conntrack> read_conntrack(const std::string& folder = "/proc/sys/net/netfilter");

/// Full, or so nearly that it was a moment ago.
bool is_exhausted(const Conntrack& table);

}  // namespace forkecho::client
