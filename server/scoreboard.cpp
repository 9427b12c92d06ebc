#include "server/scoreboard.h"

#include <arpa/inet.h>

#include <array>
#include <cstring>
#include <string_view>

namespace forkecho::server {
namespace {

/// std::to_chars without its table of digits, which is one page of the program more to fault in.
[[gnu::hot]] char* append_decimal(char* at, unsigned number) {
  if (number >= 10) at = append_decimal(at, number / 10);
  *at = static_cast<char>('0' + number % 10);
  return at + 1;
}

}  // namespace

PeerAddress PeerAddress::of(const sockaddr_storage& storage) {
  PeerAddress peer{};
  peer.family = storage.ss_family;
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    peer.port = v4.sin_port;
    std::memcpy(peer.address, &v4.sin_addr, sizeof v4.sin_addr);
  } else if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    peer.port = v6.sin6_port;
    std::memcpy(peer.address, &v6.sin6_addr, sizeof v6.sin6_addr);
  }
  return peer;
}

[[gnu::hot]] std::size_t PeerAddress::format(std::span<char, longest_text> out) const {
  char* at = out.data();
  if (family == AF_INET) {
    for (int i = 0; i < 4; ++i) {
      at = append_decimal(at, address[i]);
      *at++ = i < 3 ? '.' : ':';
    }
  } else if (family == AF_INET6) {
    *at++ = '[';
    inet_ntop(AF_INET6, address, at, INET6_ADDRSTRLEN);
    at += std::strlen(at);
    *at++ = ']';
    *at++ = ':';
  } else {
    constexpr std::string_view unix_peer = "unix:";
    return family == AF_UNIX ? unix_peer.copy(out.data(), out.size()) : 0;
  }
  at = append_decimal(at, ntohs(port));
  return static_cast<std::size_t>(at - out.data());
}

BookTotals read_page(const ProcessPage& page) {
  BookTotals totals = page.book.read();
  totals.bytes_in += page.slot.meter.bytes_in.get();
  totals.bytes_out += page.slot.meter.bytes_out.get();
  totals.fork_times = page.fork_times.read();
  totals.log_lost = page.log_lost.load(std::memory_order_relaxed);
  totals.access_log_lost = page.access_log_lost.get();
  return totals;
}

std::string PeerAddress::to_string() const {
  std::array<char, longest_text> text;
  return {text.data(), format(text)};
}

}  // namespace forkecho::server
