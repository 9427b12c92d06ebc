#include "client/null_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "common/sys/socket_address.h"

namespace forkecho::client {
namespace {

constexpr int backlog = 4096;

sys::Descriptor listen_somewhere() {
  const sys::SocketAddress address = sys::resolve("127.0.0.1:0").addresses.at(0);
  const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  sys::Descriptor fd(sys::check_syscall(socket(AF_INET, type, 0), "socket"));
  sys::check_syscall(bind(fd.get(), address.get(), address.length()), "bind");
  sys::check_syscall(listen(fd.get(), backlog), "listen");
  return fd;
}

void watch(int epoll, int fd, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void accept_all(int listener, int epoll) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd == -1) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(epoll, fd, EPOLLIN);
  }
}

/// False when the connection has ended. Writing may block: this client reads whatever it sends.
bool send_back(int fd) {
  static std::array<char, 65'536> buffer;
  const ssize_t count = recv(fd, buffer.data(), buffer.size(), 0);
  if (count <= 0) return false;
  for (ssize_t sent = 0; sent < count;) {
    const ssize_t more =
        send(fd, buffer.data() + sent, static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
    if (more <= 0) return false;
    sent += more;
  }
  return true;
}

[[noreturn]] void serve(int listener) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  const sys::Descriptor epoll(sys::check_syscall(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
  watch(epoll.get(), listener, EPOLLIN);
  for (;;) {
    std::array<epoll_event, 256> events{};
    const int count = epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener) {
        accept_all(listener, epoll.get());
      } else if (!send_back(fd)) {
        close(fd);
      }
    }
  }
}

}  // namespace

NullServer::NullServer(unsigned processes) {
  processes_.reserve(processes);
  for (unsigned i = 0; i < processes; ++i) {
    const sys::Descriptor listener = listen_somewhere();
    targets_.push_back(sys::SocketAddress::local(listener.get()).to_string());
    mp::Process& process = processes_.emplace_back([fd = listener.get()] { serve(fd); });
    process.set_name("null server");
    process.set_daemon(true);
    process.start();
  }
}

NullServer::~NullServer() {
  for (mp::Process& process : processes_) {
    process.kill();
    process.join();
  }
}

}  // namespace forkecho::client
