#include "client/source_addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

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

sys::SocketAddress ipv4_address(std::uint32_t address) {
  sockaddr_in internet{};
  internet.sin_family = AF_INET;
  internet.sin_addr.s_addr = htonl(address);
  return {reinterpret_cast<const sockaddr*>(&internet), sizeof internet};
}

}  // namespace

SourceAddresses::SourceAddresses(Workload workload, const sys::SocketAddress& target,
                                 unsigned worker) {
  if (workload != Workload::crr || !is_ipv4_loopback(target)) return;
  const std::uint32_t first = first_source + (worker % most_workers) * 256;
  for (std::uint32_t i = 0; i < sources_per_worker; ++i)
    addresses_.push_back(ipv4_address(first + i));
}

bool SourceAddresses::bind_next(int socket_fd) {
  const int on = 1;
  const sys::SocketAddress& source = addresses_[next_];
  next_ = (next_ + 1) % addresses_.size();
  return setsockopt(socket_fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
         bind(socket_fd, source.get(), source.length()) == 0;
}

}  // namespace forkecho::client
