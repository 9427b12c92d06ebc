#include "server/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace forkecho::server {
namespace {

using Bytes = std::array<std::uint8_t, 16>;
constexpr std::size_t v4_at = 12;

Bytes mapped(const std::uint8_t* v4) {
  Bytes bytes{};
  bytes[10] = bytes[11] = 0xff;
  std::copy_n(v4, 4, bytes.begin() + v4_at);
  return bytes;
}

struct Address {
  Bytes bytes;
  unsigned offset;  // bits before those that "/N" counts
};

std::optional<Address> parse_address(const std::string& text) {
  Bytes bytes{};
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return Address{mapped(bytes.data()), 96};
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return Address{bytes, 0};
  return std::nullopt;
}

std::optional<unsigned> parse_prefix(std::string_view text, unsigned most) {
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc() || end != text.data() + text.size() || bits > most) return std::nullopt;
  return bits;
}

bool bit(const Bytes& bytes, unsigned index) {
  return (bytes[index / 8] >> (7 - index % 8) & 1) != 0;
}

Bytes cut(Bytes bytes, unsigned bits) {
  for (unsigned i = bits; i < 128; ++i) {
    if (bit(bytes, i)) bytes[i / 8] ^= static_cast<std::uint8_t>(1U << (7 - i % 8));
  }
  return bytes;
}

std::string to_text(const Bytes& bytes, unsigned offset) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool is_v4 = offset != 0;
  inet_ntop(is_v4 ? AF_INET : AF_INET6, bytes.data() + (is_v4 ? v4_at : 0), text.data(),
            text.size());
  return text.data();
}

bool has_prefix(const Bytes& bytes, const Bytes& network, unsigned bits) {
  const std::size_t whole = bits / 8;
  if (std::memcmp(bytes.data(), network.data(), whole) != 0) return false;
  const unsigned rest = bits % 8;
  return rest == 0 || (bytes[whole] ^ network[whole]) >> (8 - rest) == 0;
}

}  // namespace

ParsedCidr parse_cidr(std::string_view text) {
  const std::string quoted = "'" + std::string(text) + "'";
  const auto slash = text.find('/');
  const auto address = parse_address(std::string(text.substr(0, slash)));
  if (!address) return {{}, quoted + " is no address or block such as 10.0.0.0/8 or 2001:db8::/32"};
  const unsigned most = 128 - address->offset;
  const auto prefix = slash == std::string_view::npos ? std::optional(most)
                                                      : parse_prefix(text.substr(slash + 1), most);
  if (!prefix) return {{}, quoted + ": the prefix is a number from 0 to " + std::to_string(most)};
  const unsigned bits = address->offset + *prefix;
  const Bytes network = cut(address->bytes, bits);
  if (network != address->bytes)
    return {{},
            quoted + " has bits set behind its prefix; " + to_text(network, address->offset) + "/" +
                std::to_string(*prefix) + " was probably meant"};
  return {{.network = network, .bits = bits}, {}};
}

bool Cidr::contains(const PeerAddress& peer) const {
  if (peer.family == AF_INET) return has_prefix(mapped(peer.address), network, bits);
  if (peer.family != AF_INET6) return false;
  Bytes bytes;
  std::copy_n(peer.address, bytes.size(), bytes.begin());
  return has_prefix(bytes, network, bits);
}

bool contains(std::span<const Cidr> blocks, const PeerAddress& peer) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&peer](const Cidr& block) { return block.contains(peer); });
}

}  // namespace forkecho::server
