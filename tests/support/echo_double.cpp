#include "tests/support/echo_double.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <vector>

#include "common/sys/check_syscall.h"
#include "common/sys/socket_address.h"

namespace forkecho::testing {
namespace {

constexpr int backlog = 4096;

sys::SocketAddress address_of(const DoubleOptions& options) {
  if (!options.unix_path.empty()) return sys::SocketAddress::of_unix_path(options.unix_path);
  return sys::resolve(options.ipv6 ? "[::1]:0" : "127.0.0.1:0").addresses.at(0);
}

sys::Descriptor listen_at(const sys::SocketAddress& address) {
  sys::Descriptor fd(
      sys::check_syscall(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sys::check_syscall(bind(fd.get(), address.get(), address.length()), "bind");
  sys::check_syscall(listen(fd.get(), backlog), "listen");
  return fd;
}

void reset_at_close(int fd) {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return text;
}

struct Connection {
  sys::Descriptor fd;
  std::string request;
  unsigned answered = 0;
  bool over = false;
};

class Server {
 public:
  Server(const DoubleOptions& options, int listener, DoubleBooks& books)
      : options_(options), listener_(listener), books_(books) {}

  [[noreturn]] void run() {
    for (;;) {
      std::vector<pollfd> entries{{.fd = listener_, .events = POLLIN, .revents = 0}};
      for (const auto& [fd, connection] : connections_)
        entries.push_back({.fd = fd, .events = POLLIN, .revents = 0});
      poll(entries.data(), entries.size(), -1);
      if (entries[0].revents != 0) accept_one();
      for (std::size_t i = 1; i < entries.size(); ++i) {
        if (entries[i].revents != 0) serve(connections_.at(entries[i].fd));
      }
      std::erase_if(connections_, [](const auto& entry) { return entry.second.over; });
    }
  }

 private:
  void accept_one() {
    sys::Descriptor fd(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    ++books_.accepted;
    const int key = fd.get();
    connections_[key].fd = std::move(fd);
  }

  void serve(Connection& connection) {
    char buffer[64 * 1024];
    const ssize_t count = read(connection.fd.get(), buffer, sizeof buffer);
    if (count <= 0) return end(connection, count == 0);
    const std::uint64_t before = books_.bytes_in.fetch_add(static_cast<std::uint64_t>(count));
    if (options_.answer == Answer::freeze_once && before < options_.freeze_at_byte &&
        books_.bytes_in >= options_.freeze_at_byte)
      raise(SIGSTOP);
    if (options_.answer == Answer::flip_rarely)
      return send_all(connection, with_rare_flips({buffer, static_cast<std::size_t>(count)}));
    connection.request.append(buffer, static_cast<std::size_t>(count));
    if (options_.answer == Answer::right || options_.answer == Answer::freeze_once) {
      send_all(connection, upper(std::exchange(connection.request, {})));
      return;
    }
    while (connection.request.size() >= options_.request_size && !connection.over) {
      answer(connection, upper(connection.request.substr(0, options_.request_size)));
      connection.request.erase(0, options_.request_size);
    }
  }

  std::string with_rare_flips(std::string_view request) {
    constexpr std::uint64_t every = 1'000'000;
    std::string reply = upper(std::string(request));
    const std::uint64_t from = books_.bytes_in - reply.size();
    for (std::uint64_t at = (from + every - 1) / every * every; at < from + reply.size();
         at += every) {
      if (at == 0) continue;
      reply[at - from] = static_cast<char>(reply[at - from] ^ 1);
      ++books_.flipped;
    }
    return reply;
  }

  void end(Connection& connection, bool orderly) {
    if (orderly) ++books_.ended;
    if (options_.answer == Answer::again_at_the_end) send_all(connection, "ONCE MORE");
    if (options_.answer == Answer::then_linger) {
      held_.push_back(std::move(connection.fd));
    } else if (options_.answer == Answer::then_reset) {
      reset_at_close(connection.fd.get());
    }
    connection.over = true;
  }

  void answer(Connection& connection, std::string reply) {
    ++connection.answered;
    switch (options_.answer) {
      case Answer::flip_a_bit:
        reply.back() = static_cast<char>(reply.back() ^ 1);
        return send_all(connection, reply);
      case Answer::cut_short:
        send_all(connection, reply.substr(0, reply.size() / 2));
        connection.over = true;
        return;
      case Answer::twice:
        return send_all(connection, reply + reply);
      case Answer::never:
        return;
      case Answer::reset:
        reset_at_close(connection.fd.get());
        connection.over = true;
        return;
      case Answer::slowly:
        return send_slowly(connection, reply);
      case Answer::then_leave:
        send_all(connection, reply);
        connection.over = connection.answered == options_.requests_each;
        return;
      default:
        return send_all(connection, reply);
    }
  }

  void send_slowly(Connection& connection, const std::string& reply) {
    constexpr timespec pause{.tv_sec = 0, .tv_nsec = 20'000'000};
    for (const char c : reply) {
      nanosleep(&pause, nullptr);
      send_all(connection, std::string(1, c));
    }
  }

  void send_all(Connection& connection, std::string_view data) {
    while (!data.empty()) {
      const ssize_t sent = send(connection.fd.get(), data.data(), data.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        connection.over = true;
        return;
      }
      books_.bytes_out += static_cast<std::uint64_t>(sent);
      data.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  const DoubleOptions& options_;
  int listener_;
  DoubleBooks& books_;
  std::map<int, Connection> connections_;
  std::vector<sys::Descriptor> held_;
};

}  // namespace

EchoDouble::EchoDouble(DoubleOptions options)
    : options_(std::move(options)),
      listener_(listen_at(address_of(options_))),
      target_(sys::SocketAddress::local(listener_.get()).to_string()),
      process_([this] { Server(options_, listener_.get(), *books_).run(); }) {
  process_.set_daemon(true);
  process_.start();
  listener_.reset();
}

EchoDouble::~EchoDouble() {
  kill();
  if (!options_.unix_path.empty()) unlink(options_.unix_path.c_str());
}

void EchoDouble::kill() {
  process_.kill();
  process_.join();
}

UnansweredTarget::UnansweredTarget()
    : reserved_(sys::check_syscall(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
  const auto address = sys::resolve("127.0.0.1:0").addresses.at(0);
  sys::check_syscall(bind(reserved_.get(), address.get(), address.length()), "bind");
}

std::string UnansweredTarget::text() const {
  return sys::SocketAddress::local(reserved_.get()).to_string();
}

}  // namespace forkecho::testing
