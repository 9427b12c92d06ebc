#include "tests/support/delay_double.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <queue>

#include "common/sys/check_syscall.h"
#include "common/sys/socket_address.h"

namespace forkecho::testing {
namespace {

using Moment = sys::Clock::time_point;

sys::Descriptor listen_somewhere() {
  const auto address = sys::resolve("127.0.0.1:0").addresses.at(0);
  sys::Descriptor fd(
      sys::check_syscall(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sys::check_syscall(bind(fd.get(), address.get(), address.length()), "bind");
  sys::check_syscall(listen(fd.get(), 4096), "listen");
  return fd;
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
};

struct Answer {
  Moment due;
  Moment asked;
  std::weak_ptr<Connection> connection;
  std::string reply;
  bool operator<(const Answer& other) const { return due > other.due; }  // the earliest on top
};

class Server {
 public:
  Server(const DelayOptions& options, int listener, DelayBooks& books)
      : options_(options), listener_(listener), books_(books) {}

  [[noreturn]] void run() {
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    for (;;) {
      std::vector<pollfd> entries{{.fd = listener_, .events = POLLIN, .revents = 0}};
      for (const auto& [fd, connection] : connections_)
        entries.push_back({.fd = fd, .events = POLLIN, .revents = 0});
      const timespec left = time_left();
      ppoll(entries.data(), entries.size(), answers_.empty() ? nullptr : &left, nullptr);
      answer_what_is_due();
      if (entries[0].revents != 0) accept_one();
      for (std::size_t i = 1; i < entries.size(); ++i) {
        if (entries[i].revents != 0) serve(entries[i].fd);
      }
    }
  }

 private:
  timespec time_left() const {
    if (answers_.empty()) return {};
    const auto left = sys::Deadline::at(answers_.top().due).remaining();
    return {.tv_sec = static_cast<time_t>(left.count() / 1'000'000'000),
            .tv_nsec = static_cast<long>(left.count() % 1'000'000'000)};
  }

  void accept_one() {
    sys::Descriptor fd(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const int key = fd.get();
    connections_[key] = std::make_shared<Connection>();
    connections_[key]->fd = std::move(fd);
  }

  void serve(int fd) {
    char buffer[64 * 1024];
    const auto connection = connections_.at(fd);
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count <= 0) {
      connections_.erase(fd);
      return;
    }
    const Moment now = sys::Clock::now();
    connection->request.append(buffer, static_cast<std::size_t>(count));
    while (connection->request.size() >= options_.request_size) {
      plan_answer(connection, connection->request.substr(0, options_.request_size), now);
      connection->request.erase(0, options_.request_size);
    }
  }

  void plan_answer(const std::shared_ptr<Connection>& connection, std::string request, Moment now) {
    const sys::Duration delay = options_.delays[next_++ % options_.delays.size()];
    const Moment begin = options_.one_at_a_time ? std::max(now, busy_until_) : now;
    busy_until_ = begin + delay;
    answers_.push({busy_until_, now, connection, upper(std::move(request))});
  }

  void answer_what_is_due() {
    while (!answers_.empty() && answers_.top().due <= sys::Clock::now()) {
      const Answer answer = answers_.top();
      answers_.pop();
      const auto connection = answer.connection.lock();
      if (!connection) continue;
      const auto taken = sys::Clock::now() - answer.asked;
      const std::uint64_t number = books_.answered.fetch_add(1);
      if (number < DelayBooks::most)
        books_.taken_ns[number] = static_cast<std::uint64_t>(taken.count());
      send(connection->fd.get(), answer.reply.data(), answer.reply.size(), MSG_NOSIGNAL);
    }
  }

  const DelayOptions& options_;
  int listener_;
  DelayBooks& books_;
  std::map<int, std::shared_ptr<Connection>> connections_;
  std::priority_queue<Answer> answers_;
  std::size_t next_ = 0;
  Moment busy_until_{};
};

}  // namespace

DelayDouble::DelayDouble(DelayOptions options)
    : options_(std::move(options)),
      listener_(listen_somewhere()),
      target_(sys::SocketAddress::local(listener_.get()).to_string()),
      process_([this] { Server(options_, listener_.get(), *books_).run(); }) {
  process_.set_daemon(true);
  process_.start();
  listener_.reset();
}

DelayDouble::~DelayDouble() {
  process_.kill();
  process_.join();
}

std::vector<std::uint64_t> DelayDouble::taken_ns() const {
  const std::size_t count = std::min<std::size_t>(books_->answered, DelayBooks::most);
  std::vector<std::uint64_t> taken(books_->taken_ns, books_->taken_ns + count);
  std::sort(taken.begin(), taken.end());
  return taken;
}

}  // namespace forkecho::testing
