#include "server/control_socket.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <asio/read_until.hpp>
#include <asio/streambuf.hpp>
#include <asio/write.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>

#include "common/log/log.h"
#include "common/mp/reap.h"
#include "common/sys/check_syscall.h"
#include "common/sys/socket_address.h"
#include "server/exit_code.h"

namespace forkecho::server {
namespace {

using asio::local::stream_protocol;

constexpr auto request_time = std::chrono::seconds(5);
constexpr int queue_length = 64;
constexpr std::size_t longest_request = 1024;
constexpr char short_of_memory[] = "error: the supervisor is short of memory; ask again\n";
/// After the system refused a descriptor for a request; short, for the request waits.
constexpr auto shortage_pause = std::chrono::milliseconds(20);

ucred credentials_of(int socket) {
  ucred peer{};
  socklen_t length = sizeof peer;
  sys::check_syscall(getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length), "SO_PEERCRED");
  return peer;
}

/// One request: read a line, answer, close. Keeps itself alive through the handlers.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(stream_protocol::socket socket, const ControlSocket::Handler& handler)
      : socket_(std::move(socket)),
        handler_(handler),
        timer_(socket_.get_executor()),
        request_(longest_request) {
    answer_.reserve(sizeof short_of_memory);  // for when there is none left
  }

  void start() {
    const ucred peer = credentials_of(socket_.native_handle());
    if (peer.uid != 0 && peer.uid != geteuid()) {
      log::warning("control socket: a request of user {} was refused", peer.uid);
      return;
    }
    timer_.expires_after(request_time);
    timer_.async_wait([self = shared_from_this()](const asio::error_code& error) {
      if (!error) self->socket_.close();
    });
    asio::async_read_until(
        socket_, request_, '\n',
        [self = shared_from_this()](const asio::error_code& error, std::size_t length) {
          if (error) return self->end();
          self->answer(length);
        });
  }

 private:
  void answer(std::size_t length) {
    const auto* begin = static_cast<const char*>(request_.data().data());
    timer_.cancel();  // the answer may take its time
    const auto send_answer = [self = shared_from_this()](std::string text) {
      self->send(std::move(text));
    };
    try {
      handler_(std::string(begin, length - 1), send_answer);
    } catch (const std::bad_alloc&) {
      answer_.assign(short_of_memory);
      send_answer_held();
    }
  }

  void send(std::string text) {
    answer_ = std::move(text);
    send_answer_held();
  }

  void send_answer_held() {
    asio::async_write(
        socket_, asio::buffer(answer_),
        [self = shared_from_this()](const asio::error_code&, std::size_t) { self->end(); });
  }

  void end() {
    timer_.cancel();
    asio::error_code ignored;
    socket_.close(ignored);
  }

  stream_protocol::socket socket_;
  const ControlSocket::Handler& handler_;
  asio::steady_timer timer_;
  asio::streambuf request_;
  std::string answer_;
};

sys::Descriptor bind_to(const std::string& path) {
  unlink(path.c_str());
  const auto address = sys::SocketAddress::of_unix_path(path);
  sys::Descriptor fd(sys::check_syscall(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const mode_t before = umask(0177);
  const int bound = bind(fd.get(), address.get(), address.length());
  const int error = errno;
  umask(before);
  if (bound != 0)
    sys::throw_errno(error,
                     "cannot make the control socket '" + path + "' (choose another --control)");
  return fd;
}

bool wait_readable(int fd, sys::Deadline deadline) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return sys::retry_on_interrupt([&] { return poll(&entry, 1, deadline.poll_timeout_ms()); }) > 0;
}

}  // namespace

ControlSocket::ControlSocket(asio::io_context& context, const std::string& path, Handler handler)
    : ControlSocket(context, path, std::move(handler), bind_to(path)) {
  open();
}

ControlSocket::ControlSocket(asio::io_context& context, const std::string& path, Handler handler,
                             sys::Descriptor listening)
    : acceptor_(context),
      pause_(context),
      path_(path),
      handler_(std::move(handler)),
      fd_(listening.get()) {
  acceptor_.assign(stream_protocol(), listening.release());
}

ControlSocket::~ControlSocket() {
  if (ours_) unlink(path_.c_str());
}

void ControlSocket::open() {
  // Those who connect get the credentials of whoever called listen last (net/unix/af_unix.c).
  sys::check_syscall(listen(fd_, queue_length), "listen");
  ours_ = true;
  shut_ = false;
  accept_next();
}

void ControlSocket::shut() {
  shut_ = true;
  pause_.cancel();
  asio::error_code ignored;
  acceptor_.cancel(ignored);
}

void ControlSocket::leave() {
  ours_ = false;
  shut_ = true;
  pause_.cancel();
  asio::error_code ignored;
  acceptor_.close(ignored);
}

void ControlSocket::accept_next() {
  if (!spare_) spare_.reset(eventfd(0, EFD_CLOEXEC));
  accept();
}

void ControlSocket::accept() {
  acceptor_.async_accept([this](const asio::error_code& error, stream_protocol::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (error) return run_short();
    begin_session(std::move(socket));
    if (!shut_) accept_next();
  });
}

void ControlSocket::begin_session(stream_protocol::socket socket) {
  try {
    std::make_shared<Session>(std::move(socket), handler_)->start();
  } catch (const std::bad_alloc&) {
    log::warning("control socket: a request was closed for want of memory");
  }
}

/// Whoever asks a daemon that has no descriptor left is answered with the spare one.
void ControlSocket::run_short() {
  if (spare_) {
    spare_.reset();
    return accept();
  }
  pause_.expires_after(shortage_pause);
  pause_.async_wait([this](const asio::error_code& error) {
    if (!error && !shut_) accept_next();
  });
}

bool is_bound_to(int fd, const std::string& path) {
  return sys::SocketAddress::local(fd).path() == path;
}

ControlClient::ControlClient(const std::string& path)
    : path_(path),
      socket_(sys::check_syscall(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
  const auto address = sys::SocketAddress::of_unix_path(path);
  if (connect(socket_.get(), address.get(), address.length()) == 0) return;
  const int error = errno;
  std::string line = "no daemon answers at '" + path + "' (" + std::strerror(error) + ")";
  line +=
      error == EACCES ? "; it belongs to another user" : "; is it running, with this --control?";
  throw FatalError(ExitCode::unavailable, line);
}

std::string ControlClient::ask(const std::string& request, sys::Deadline deadline) {
  const std::string line = request + "\n";
  if (send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    throw FatalError(ExitCode::unavailable,
                     "the daemon at '" + path_ + "' does not take the request");
  }
  std::string answer;
  std::array<char, 65536> chunk;
  while (wait_readable(socket_.get(), deadline)) {
    const ssize_t received = recv(socket_.get(), chunk.data(), chunk.size(), 0);
    if (received < 0) break;
    if (received == 0) {
      if (answer.empty())
        throw FatalError(
            ExitCode::unavailable,
            "the daemon at '" + path_ + "' refused the request; it belongs to another user");
      return answer;
    }
    answer.append(chunk.data(), static_cast<std::size_t>(received));
  }
  throw FatalError(ExitCode::unavailable, "the daemon at '" + path_ + "' does not answer in time");
}

sys::Descriptor ControlClient::daemon_sentinel() const {
  return mp::open_sentinel(credentials_of(socket_.get()).pid);
}

}  // namespace forkecho::server
