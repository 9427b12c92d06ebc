// Source: what --max-per-source counts by. An IPv4 address; an IPv4-mapped IPv6 address is the same
// source as the IPv4 one; of other IPv6 addresses the /64, which is what one subscriber has. The
// clients of a unix socket have no address, and are not counted.
//
// Pure functions; no allocation but for source_text.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "server/cidr.h"
#include "server/scoreboard.h"

namespace forkecho::server {

/// The first eight bytes of an IPv6 address, or 0xffffffff and an IPv4 address: no client's /64
/// begins so, since ff00::/8 is multicast.
enum class Source : std::uint64_t {
  uncounted = 0xffffffffffffffff,  // of 255.255.255.255, which is nobody's
};

Source source_of(const PeerAddress& peer);
/// The same, and nobody's in `exempt` is counted.
Source counted_source(const PeerAddress& peer, std::span<const Cidr> exempt);
/// "10.0.0.7", "2001:db8:0:1::/64"; "" for uncounted.
std::string source_text(Source source);

}  // namespace forkecho::server
