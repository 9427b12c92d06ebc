#include "server/listener.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/sys/check_syscall.h"
#include "common/sys/raw_syscall.h"

namespace forkecho::server {
namespace {

using sys::check_syscall;

void enable(int fd, int level, int option, const char* what) {
  const int on = 1;
  check_syscall(setsockopt(fd, level, option, &on, sizeof on), what);
}

bool answers(const sys::SocketAddress& address) {
  const sys::Descriptor probe(
      check_syscall(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
  return connect(probe.get(), address.get(), address.length()) == 0 || errno == EAGAIN;
}

/// A socket file outlives its killed daemon, and bind refuses to replace it.
void remove_stale_socket_file(const sys::SocketAddress& address) {
  struct stat status {};
  if (lstat(address.path().c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  if (!answers(address)) unlink(address.path().c_str());
}

std::string cannot_listen(const sys::SocketAddress& address, int error) {
  std::string text = "cannot listen on " + address.to_string();
  if (error == EADDRINUSE) text += " (another program does; choose another --listen, or stop it)";
  if (error == EACCES) text += " (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
  return text;
}

/// Whoever shares an address lets other daemons in; whoever wants it alone is told of them. It does
/// not listen, so that nobody can be in a queue that ends with it.
void check_that_nobody_listens(const sys::SocketAddress& address) {
  const sys::Descriptor probe(
      check_syscall(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  enable(probe.get(), SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR");
  if (address.family() == AF_INET6) enable(probe.get(), IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
  if (bind(probe.get(), address.get(), address.length()) == 0) return;
  const int error = errno;
  sys::throw_errno(error, cannot_listen(address, error));
}

/// Drops segments that have SYN and not ACK: the first of a handshake. On a TCP socket the filter
/// sees the segment from its TCP header on (net/ipv4/tcp_ipv4.c, tcp_filter).
constexpr std::array<sock_filter, 5> drop_bare_syn{{
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),           // flags
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),        // SYN | ACK
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),  // SYN alone?
    BPF_STMT(BPF_RET | BPF_K, 0),                     // drop
    BPF_STMT(BPF_RET | BPF_K, 0xffffffffU),           // keep whole
}};

/// The time to live that packets must have left: the highest there is, which senders do not use, or
/// 0 for no demand.
void demand_time_to_live(int fd, int family, int hops) {
  if (family == AF_INET) {
    check_syscall(setsockopt(fd, IPPROTO_IP, IP_MINTTL, &hops, sizeof hops), "IP_MINTTL");
  } else if (family == AF_INET6) {
    check_syscall(setsockopt(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, &hops, sizeof hops),
                  "IPV6_MINHOPCOUNT");
  }
}

/// Accepted sockets inherit it: no system call for each.
void switch_off_nagles_delay(int fd) {
  enable(fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY");
}

/// -1 when it has no such option, or is no socket.
int option_of(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

}  // namespace

Listener Listener::open(const sys::SocketAddress& address, int backlog) {
  return open(address, backlog, Sharing::no);
}

std::vector<Listener> Listener::open_queues(const sys::SocketAddress& address, int backlog,
                                            std::size_t count) {
  if (address.port() != 0) check_that_nobody_listens(address);
  std::vector<Listener> queues;
  for (std::size_t i = 0; i < count; ++i) {
    // Where the kernel chose the port of the first, the others follow.
    queues.push_back(open(i == 0 ? address : queues.front().address(), backlog, Sharing::queues));
  }
  return queues;
}

Listener Listener::open(const sys::SocketAddress& address, int backlog, Sharing sharing) {
  sys::Descriptor fd(check_syscall(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0),
                                   "cannot open a socket for " + address.to_string()));
  if (address.is_unix()) {
    remove_stale_socket_file(address);
  } else {
    enable(fd.get(), SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR");
    if (sharing == Sharing::queues) enable(fd.get(), SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT");
    switch_off_nagles_delay(fd.get());
    if (address.family() == AF_INET6) enable(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
  }
  if (bind(fd.get(), address.get(), address.length()) != 0 || listen(fd.get(), backlog) != 0) {
    const int error = errno;
    sys::throw_errno(error, cannot_listen(address, error));
  }
  const auto bound = sys::SocketAddress::local(fd.get());
  return {std::move(fd), bound, Owner::daemon};
}

Listener Listener::adopt(sys::Descriptor socket, Owner owner) {
  check_syscall(fcntl(socket.get(), F_SETFD, FD_CLOEXEC), "F_SETFD");
  const auto address = sys::SocketAddress::local(socket.get());
  if (!address.is_unix()) switch_off_nagles_delay(socket.get());
  return {std::move(socket), address, owner};
}

AcceptResult Listener::accept() const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  const auto result = static_cast<int>(
      sys::silent_syscall(SYS_accept4, socket_.get(), &storage, &length, SOCK_CLOEXEC));
  if (const int fd = result; fd >= 0) {
    if (*demands_) demand_time_to_live(fd, address_.family(), 0);
    return {.outcome = AcceptResult::Outcome::client,
            .client = {.socket = sys::Descriptor(fd), .peer = PeerAddress::of(storage)}};
  }
  const int error = -result;
  if (out_of_resources(error))
    return {.outcome = AcceptResult::Outcome::exhausted, .client = {}, .error = error};
  if (error == EINVAL) return {.outcome = AcceptResult::Outcome::closed, .client = {}};
  if (error == EAGAIN && waits_) {
    pollfd entry{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    poll(&entry, 1, -1);
  }
  // EAGAIN and EINTR; and the network errors that accept passes on for one client (accept(2),
  // "Error handling"): that client is gone, the next call sees the next.
  return {.outcome = AcceptResult::Outcome::none, .client = {}};
}

void Listener::set_nonblocking() const {
  const int flags = check_syscall(fcntl(socket_.get(), F_GETFL), "F_GETFL");
  check_syscall(fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK), "F_SETFL");
}

bool Listener::is_nonblocking() const {
  return (check_syscall(fcntl(socket_.get(), F_GETFL), "F_GETFL") & O_NONBLOCK) != 0;
}

void Listener::set_backlog(int backlog) const {
  check_syscall(listen(socket_.get(), backlog), "listen");
}

bool Listener::has_waiting_client() const {
  pollfd entry{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  // A listener that was shut down reports POLLHUP; nobody waits there.
  return poll(&entry, 1, 0) == 1 && (entry.revents & (POLLIN | POLLHUP)) == POLLIN;
}

void Listener::begin_drain() const {
  if (owner_ == Owner::service_manager) return;
  if (address_.is_unix()) return remove_path();
  std::array<sock_filter, drop_bare_syn.size()> code = drop_bare_syn;
  const sock_fprog program{.len = code.size(), .filter = code.data()};
  const int result =
      setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  if (result == 0) return;
  if (errno != EPERM) sys::throw_errno(errno, "SO_ATTACH_FILTER");
  *demands_ = true;
  demand_time_to_live(socket_.get(), address_.family(), 255);
}

void Listener::stop_listening() const {
  if (owner_ == Owner::daemon) shutdown(socket_.get(), SHUT_RDWR);
}

void Listener::remove_path() const {
  if (owner_ == Owner::daemon && address_.is_unix()) unlink(address_.path().c_str());
}

bool is_listening_stream_socket(int fd) {
  const int family = option_of(fd, SO_DOMAIN);
  return (family == AF_INET || family == AF_INET6 || family == AF_UNIX) &&
         option_of(fd, SO_TYPE) == SOCK_STREAM && option_of(fd, SO_ACCEPTCONN) == 1;
}

}  // namespace forkecho::server
