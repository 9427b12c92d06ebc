#include "server/source.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace forkecho::server {
namespace {

constexpr std::uint64_t v4_mark = 0xffffffff00000000;
constexpr std::array<std::uint8_t, 12> v4_mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::uint64_t big_endian(const std::uint8_t* bytes, int count) {
  std::uint64_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

Source source_of(const PeerAddress& peer) {
  if (peer.family == AF_INET) return Source{v4_mark | big_endian(peer.address, 4)};
  if (peer.family != AF_INET6) return Source::uncounted;
  if (std::equal(v4_mapped.begin(), v4_mapped.end(), peer.address))
    return Source{v4_mark | big_endian(peer.address + v4_mapped.size(), 4)};
  return Source{big_endian(peer.address, 8)};
}

Source counted_source(const PeerAddress& peer, std::span<const Cidr> exempt) {
  return contains(exempt, peer) ? Source::uncounted : source_of(peer);
}

std::string source_text(Source source) {
  if (source == Source::uncounted) return {};
  const auto key = static_cast<std::uint64_t>(source);
  std::array<std::uint8_t, 16> address{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool is_v4 = (key & v4_mark) == v4_mark;
  const int count = is_v4 ? 4 : 8;
  for (int i = 0; i < count; ++i)
    address[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(key >> (8 * (count - 1 - i)));
  inet_ntop(is_v4 ? AF_INET : AF_INET6, address.data(), text.data(), text.size());
  return is_v4 ? text.data() : std::string(text.data()) + "/64";
}

}  // namespace forkecho::server
