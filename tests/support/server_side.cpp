#include "tests/support/server_side.h"

#include <linux/tcp.h>  // glibc's has a shorter tcp_info, and the two exclude each other
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "common/sys/check_syscall.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"

namespace forkecho::tests {
namespace {

struct Name {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  bool operator==(const Name& other) const {
    return length == other.length && std::memcmp(&address, &other.address, length) == 0;
  }
};

/// Empty names do not equal those of a connection.
Name own_name(int socket) {
  Name name;
  sys::check_syscall(getsockname(socket, reinterpret_cast<sockaddr*>(&name.address), &name.length),
                     "getsockname");
  return name;
}

bool is_peer(int socket, const Name& client) {
  Name peer;
  return getpeername(socket, reinterpret_cast<sockaddr*>(&peer.address), &peer.length) == 0 &&
         peer == client;
}

/// Empty when the process or its descriptor is gone by now.
sys::Descriptor duplicate_of(int process, int number) {
  sys::Descriptor copy(static_cast<int>(syscall(SYS_pidfd_getfd, process, number, 0)));
  if (!copy && errno != EBADF && errno != ESRCH) sys::throw_errno(errno, "pidfd_getfd");
  return copy;
}

sys::Descriptor socket_in(pid_t pid, const Name& client) {
  const sys::Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return {};
  for (const auto& [number, what] : descriptors_of(pid)) {
    if (!what.starts_with("socket:")) continue;
    sys::Descriptor copy = duplicate_of(process.get(), number);
    if (copy && is_peer(copy.get(), client)) return copy;
  }
  return {};
}

std::vector<ServerSide> all_with(const Name& client, pid_t leader) {
  std::vector<ServerSide> found;
  for (const ProcessView& view : living_below(leader)) {
    sys::Descriptor socket = socket_in(view.pid, client);
    if (socket) found.push_back({.pid = view.pid, .socket = std::move(socket)});
  }
  return found;
}

void demand_hops(int socket, int hops) {
  if (own_name(socket).address.ss_family == AF_INET6) {
    sys::check_syscall(setsockopt(socket, IPPROTO_IPV6, IPV6_MINHOPCOUNT, &hops, sizeof hops),
                       "IPV6_MINHOPCOUNT");
  } else {
    sys::check_syscall(setsockopt(socket, IPPROTO_IP, IP_MINTTL, &hops, sizeof hops), "IP_MINTTL");
  }
}

}  // namespace

ServerSide server_side_of(int client, pid_t leader) {
  const Name name = own_name(client);
  std::vector<ServerSide> found;
  const bool one_has_it = eventually(patience(), [&] {
    found = all_with(name, leader);
    return found.size() == 1;
  });
  return one_has_it ? std::move(found.front()) : ServerSide{};
}

Outflow outflow_of(int socket) {
  tcp_info info{};
  socklen_t length = sizeof info;
  sys::check_syscall(getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length), "TCP_INFO");
  return {.sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans,
          .unsent = info.tcpi_notsent_bytes,
          .segments = info.tcpi_data_segs_out - info.tcpi_total_retrans};
}

void drop_what_arrives(int socket) {
  demand_hops(socket, 255);
}

void let_arrive(int socket) {
  demand_hops(socket, 0);
}

}  // namespace forkecho::tests
