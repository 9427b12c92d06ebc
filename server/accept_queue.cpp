#include "server/accept_queue.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "common/sys/descriptor.h"

namespace forkecho::server {
namespace {

/// For a socket in the state of listening, the kernel puts the queue into these two fields
/// (net/ipv4/tcp.c, tcp_get_info).
std::optional<AcceptQueue> of_tcp(int listener) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return std::nullopt;
  if (info.tcpi_state != TCP_LISTEN) return std::nullopt;
  return AcceptQueue{.length = info.tcpi_unacked, .limit = info.tcpi_sacked};
}

struct UnixRequest {
  nlmsghdr header{};
  unix_diag_req question{};
};

bool ask(int netlink, ino_t inode) {
  UnixRequest request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.question.sdiag_family = AF_UNIX;
  request.question.udiag_ino = static_cast<std::uint32_t>(inode);
  request.question.udiag_cookie[0] = request.question.udiag_cookie[1] = ~0U;  // any
  request.question.udiag_states = ~0U;
  request.question.udiag_show = UDIAG_SHOW_RQLEN;
  return send(netlink, &request, sizeof request, MSG_DONTWAIT) == sizeof request;
}

/// The attribute UNIX_DIAG_RQLEN of the answer: for a listener, the queue and its limit.
std::optional<AcceptQueue> read_answer(const nlmsghdr& header, std::size_t received) {
  if (received < NLMSG_LENGTH(sizeof(unix_diag_msg)) || header.nlmsg_len > received ||
      header.nlmsg_type != SOCK_DIAG_BY_FAMILY)
    return std::nullopt;
  const auto* message = static_cast<const unix_diag_msg*>(NLMSG_DATA(&header));
  const auto* attribute = reinterpret_cast<const rtattr*>(message + 1);
  auto left = header.nlmsg_len - NLMSG_LENGTH(sizeof *message);
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != UNIX_DIAG_RQLEN) continue;
    unix_diag_rqlen lengths{};
    if (RTA_PAYLOAD(attribute) < sizeof lengths) return std::nullopt;
    std::memcpy(&lengths, RTA_DATA(attribute), sizeof lengths);
    return AcceptQueue{.length = lengths.udiag_rqueue, .limit = lengths.udiag_wqueue};
  }
  return std::nullopt;
}

std::optional<AcceptQueue> of_unix(int listener) {
  struct stat file {};
  if (fstat(listener, &file) != 0) return std::nullopt;
  const sys::Descriptor netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink || !ask(netlink.get(), file.st_ino)) return std::nullopt;
  alignas(nlmsghdr) std::array<std::byte, 4096> answer;
  // The kernel has answered within the call that asked.
  const ssize_t received = recv(netlink.get(), answer.data(), answer.size(), MSG_DONTWAIT);
  if (received < static_cast<ssize_t>(sizeof(nlmsghdr))) return std::nullopt;
  return read_answer(*reinterpret_cast<const nlmsghdr*>(answer.data()),
                     static_cast<std::size_t>(received));
}

bool listens(int socket) {
  int yes = 0;
  socklen_t length = sizeof yes;
  return getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &yes, &length) == 0 && yes != 0;
}

}  // namespace

std::optional<AcceptQueue> accept_queue_of(int listener) {
  if (!listens(listener)) return std::nullopt;
  int domain = 0;
  socklen_t length = sizeof domain;
  if (getsockopt(listener, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) return std::nullopt;
  return domain == AF_UNIX ? of_unix(listener) : of_tcp(listener);
}

}  // namespace forkecho::server
