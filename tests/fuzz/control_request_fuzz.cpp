// Bytes on the control socket, in two pieces, from a peer that then goes away: through the socket
// itself.
#include <sys/socket.h>

#include <asio/io_context.hpp>
#include <string>
#include <vector>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "common/sys/socket_address.h"
#include "server/control_socket.h"
#include "tests/fuzz/target.h"
#include "tests/support/temp_dir.h"

namespace forkecho::fuzz {
namespace {

constexpr std::size_t longest_request = 1024;  // with the end of its line

/// The daemon's end, which takes down what it was asked.
class Daemon {
 public:
  sys::Descriptor connect() const {
    sys::Descriptor socket(
        sys::check_syscall(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const auto address = sys::SocketAddress::of_unix_path(path_);
    sys::check_syscall(::connect(socket.get(), address.get(), address.length()), "connect");
    return socket;
  }
  void do_what_can_be_done() {
    context_.restart();
    while (context_.poll() > 0) {
    }
  }
  std::vector<std::string> take_requests() { return std::exchange(requests_, {}); }
  void answer() {
    for (const auto& reply : std::exchange(replies_, {})) reply("ok\n");
    do_what_can_be_done();
  }

 private:
  const tests::TempDir directory_;
  const std::string path_ = directory_.path("control.sock");
  asio::io_context context_{1};
  std::vector<std::string> requests_;
  std::vector<server::ControlSocket::Reply> replies_;
  const server::ControlSocket socket_{
      context_, path_, [this](const std::string& request, server::ControlSocket::Reply reply) {
        requests_.push_back(request);
        replies_.push_back(std::move(reply));
      }};
};

/// False when the daemon has closed the connection.
bool send_all(const sys::Descriptor& socket, std::string_view bytes) {
  return bytes.empty() || send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                              static_cast<ssize_t>(bytes.size());
}

std::string received_by(const sys::Descriptor& socket) {
  std::string received(64, '\0');
  const ssize_t size = recv(socket.get(), received.data(), received.size(), MSG_DONTWAIT);
  received.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return received;
}

}  // namespace

void fuzz(std::string_view input) {
  static Daemon daemon;
  const std::size_t cut = Cuts(input).next(input.size());
  const sys::Descriptor peer = daemon.connect();
  if (send_all(peer, input.substr(0, cut))) daemon.do_what_can_be_done();
  if (send_all(peer, input.substr(cut))) shutdown(peer.get(), SHUT_WR);
  daemon.do_what_can_be_done();

  const std::vector<std::string> requests = daemon.take_requests();
  daemon.answer();
  const std::size_t end = input.substr(0, longest_request).find('\n');
  if (end == std::string_view::npos) {
    require(requests.empty(), "what is no line, or too long, is no request");
    return;
  }
  require(requests.size() == 1, "a line is a request, once");
  require(requests.front() == input.substr(0, end), "the request is the line");
  require(received_by(peer) == "ok\n", "a request is answered");
}

}  // namespace forkecho::fuzz
