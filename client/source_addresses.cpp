#include "client/source_addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <span>

#include "common/sys/descriptor.h"

namespace forkecho::client {
namespace {

// 64 × 28,000 ports (Linux's default range) for each worker.
constexpr unsigned sources_per_worker = 64;
// 127.16.x.y and up: away from 127.0.0.1 and from what else may use its neighbours.
constexpr std::uint32_t first_source = 0x7F10'0001;
constexpr unsigned most_workers = 16'000;  // whose blocks of addresses fit below 127.128.0.0

bool is_ipv4_loopback(const sys::SocketAddress& address) {
  if (address.family() != AF_INET) return false;
  const auto* internet = reinterpret_cast<const sockaddr_in*>(address.get());
  return ntohl(internet->sin_addr.s_addr) >> 24 == 127;
}

constexpr std::size_t most_tried = 65'536;

/// An address as its bytes, the most significant first.
struct Bytes {
  int family;
  std::array<std::uint8_t, 16> bytes;
  std::size_t length() const { return family == AF_INET ? 4 : 16; }
  std::span<std::uint8_t> all() { return {bytes.data(), length()}; }
};

std::optional<Bytes> parse_address(const std::string& text) {
  for (const int family : {AF_INET, AF_INET6}) {
    Bytes address{.family = family, .bytes = {}};
    if (inet_pton(family, text.c_str(), address.bytes.data()) == 1) return address;
  }
  return std::nullopt;
}

sys::SocketAddress to_socket_address(const Bytes& address) {
  if (address.family == AF_INET) {
    sockaddr_in internet{};
    internet.sin_family = AF_INET;
    std::memcpy(&internet.sin_addr, address.bytes.data(), 4);
    return {reinterpret_cast<const sockaddr*>(&internet), sizeof internet};
  }
  sockaddr_in6 internet{};
  internet.sin6_family = AF_INET6;
  std::memcpy(&internet.sin6_addr, address.bytes.data(), 16);
  return {reinterpret_cast<const sockaddr*>(&internet), sizeof internet};
}

/// A range of addresses: the first, and how many there are (those beyond most_tried do not count).
struct Range {
  Bytes first;
  std::size_t count;
};

std::optional<Range> parse_range(const std::string& text) {
  const std::size_t slash = text.find('/');
  auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  const std::size_t all_bits = address->length() * 8;
  std::size_t bits = all_bits;
  if (slash != text.npos) {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
    if (error != std::errc() || stop != end || bits > all_bits) return std::nullopt;
  }
  for (std::size_t bit = bits; bit < all_bits; ++bit)
    address->bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80U >> bit % 8));
  const std::size_t free_bits = all_bits - bits;
  return Range{*address, free_bits < 17 ? std::size_t{1} << free_bits : most_tried};
}

void increment(Bytes& address) {
  const auto all = address.all();
  for (std::size_t i = all.size(); i > 0 && ++all[i - 1] == 0; --i) continue;
}

bool is_of_this_machine(const sys::SocketAddress& address) {
  const sys::Descriptor fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd && bind(fd.get(), address.get(), address.length()) == 0;
}

sys::SocketAddress ipv4_address(std::uint32_t address) {
  sockaddr_in internet{};
  internet.sin_family = AF_INET;
  internet.sin_addr.s_addr = htonl(address);
  return {reinterpret_cast<const sockaddr*>(&internet), sizeof internet};
}

}  // namespace

SourceAddresses::SourceAddresses(const LoadPlan& plan, const sys::SocketAddress& target,
                                 unsigned worker) {
  if (requests_on_each(plan) == 0 || !is_ipv4_loopback(target)) return;
  const std::uint32_t first = first_source + (worker % most_workers) * 256;
  for (std::uint32_t i = 0; i < sources_per_worker; ++i)
    addresses_.push_back(ipv4_address(first + i));
}

SourceAddresses::SourceAddresses(const std::vector<sys::SocketAddress>& given, unsigned workers,
                                 unsigned worker) {
  for (std::size_t i = worker; i < given.size(); i += workers) addresses_.push_back(given[i]);
  if (addresses_.empty()) addresses_.push_back(given[worker % given.size()]);
}

bool SourceAddresses::bind_next(int socket_fd) {
  const int on = 1;
  const sys::SocketAddress& source = addresses_[next_];
  next_ = (next_ + 1) % addresses_.size();
  return setsockopt(socket_fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
         bind(socket_fd, source.get(), source.length()) == 0;
}

GivenSources find_sources(const std::string& text, std::size_t most) {
  const auto range = parse_range(text);
  if (!range)
    return {.error = "'" + text + "' is no range of addresses; write it like 10.1.2.0/24"};
  GivenSources found;
  Bytes address = range->first;
  // The first address of an IPv4 network is its name, and none of its hosts.
  const bool skips_name = address.family == AF_INET && range->count > 2;
  for (std::size_t i = 0; i < range->count && found.addresses.size() < most;
       ++i, increment(address)) {
    if (i == 0 && skips_name) continue;
    const sys::SocketAddress candidate = to_socket_address(address);
    if (is_of_this_machine(candidate)) found.addresses.push_back(candidate);
  }
  if (found.addresses.empty())
    found.error = "--source " + text + ": no address of this machine is in it";
  return found;
}

}  // namespace forkecho::client
