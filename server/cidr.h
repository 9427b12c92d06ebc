// Cidr: a block of addresses as users write it: "10.0.0.0/8", "2001:db8::/32", or a single address.
// For --exempt. A value type; pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/scoreboard.h"

namespace forkecho::server {

/// IPv4 lives in IPv6's mapped block (::ffff:0:0/96), so that a client is the same through both.
struct Cidr {
  std::array<std::uint8_t, 16> network{};
  unsigned bits = 128;  // of `network`, 0..128

  bool contains(const PeerAddress& peer) const;
  bool operator==(const Cidr&) const = default;
};

struct ParsedCidr {
  Cidr cidr;
  std::string error;  // empty: none; else one line that begins with the text
};

/// Without "/N" it is the one address. Bits set behind the prefix are an error that names the block
/// that was probably meant.
ParsedCidr parse_cidr(std::string_view text);

bool contains(std::span<const Cidr> blocks, const PeerAddress& peer);

}  // namespace forkecho::server
