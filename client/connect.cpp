#include "client/connect.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include "common/sys/check_syscall.h"

namespace forkecho::client {
namespace {

constexpr std::size_t buffer_size = std::size_t{64} << 10;
constexpr std::string_view prompt = "> ";

void write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const auto written = sys::check_syscall(
        sys::retry_on_interrupt([&] { return ::write(fd, data.data(), data.size()); }),
        "cannot write the output");
    data.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// The server's side of the conversation: a non-blocking socket, and what waits to be sent.
class Peer {
 public:
  explicit Peer(sys::Descriptor socket) : socket_(std::move(socket)), buffer_(buffer_size) {}

  int get() const { return socket_.get(); }
  bool has_unsent() const { return !unsent_.empty(); }
  bool half_closed() const { return half_closed_; }
  /// Whether the server was still willing to take data when it was last offered some.
  bool takes() const { return !refuses_; }
  bool left() const { return left_; }

  void offer(std::string_view data) { unsent_ += data; }
  void send_some() {
    if (unsent_.empty() || refuses_) return;
    const ssize_t sent = sys::retry_on_interrupt(
        [&] { return ::send(get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL); });
    if (sent == -1 && errno == EAGAIN) return;
    if (sent == -1) {
      refuses_ = true;  // what it answered before is still to be read
    } else {
      unsent_.erase(0, static_cast<std::size_t>(sent));
    }
  }
  void half_close() {
    half_closed_ = true;
    if (::shutdown(get(), SHUT_WR) != 0) refuses_ = true;
  }
  /// What is there now; empty when nothing is, or when the server has left.
  std::string_view receive_some() {
    const ssize_t received =
        sys::retry_on_interrupt([&] { return ::recv(get(), buffer_.data(), buffer_.size(), 0); });
    if (received > 0) return {buffer_.data(), static_cast<std::size_t>(received)};
    if (received == 0) left_ = true;
    if (received == -1 && errno != EAGAIN) left_ = refuses_ = true;
    return {};
  }
  /// Whether the end came in its time: after all was sent and half-closed, and without an error.
  ConnectEnd end() const {
    return half_closed_ && unsent_.empty() && !refuses_ ? ConnectEnd::finished
                                                        : ConnectEnd::server_left;
  }

 private:
  sys::Descriptor socket_;
  std::vector<char> buffer_;
  std::string unsent_;
  bool half_closed_ = false;
  bool refuses_ = false;
  bool left_ = false;
};

/// What poll shall look for; a negative descriptor is not looked at.
struct Watch {
  pollfd peer;
  pollfd input;

  void wait(sys::Deadline deadline) {
    pollfd entries[] = {peer, input};
    const int count = poll(entries, 2, deadline.poll_timeout_ms());
    if (count == -1 && errno != EINTR) sys::throw_errno(errno, "poll");
    peer.revents = count > 0 ? entries[0].revents : short{0};
    input.revents = count > 0 ? entries[1].revents : short{0};
  }
};

Watch watch_for(const Peer& peer, int input) {
  const bool sends = peer.has_unsent() && peer.takes();
  const bool reads = !peer.has_unsent() && peer.takes() && !peer.half_closed();
  return {.peer = {.fd = peer.get(),
                   .events = static_cast<short>(sends ? POLLIN | POLLOUT : POLLIN),
                   .revents = 0},
          .input = {.fd = reads ? input : -1, .events = POLLIN, .revents = 0}};
}

/// Moves one buffer from the input to the peer; half-closes at its end.
void read_input(Peer& peer, int input, std::vector<char>& buffer) {
  const auto count = sys::check_syscall(
      sys::retry_on_interrupt([&] { return ::read(input, buffer.data(), buffer.size()); }),
      "cannot read the input");
  if (count == 0) return peer.half_close();
  peer.offer({buffer.data(), static_cast<std::size_t>(count)});
  peer.send_some();
}

/// What still comes after the half-close.
ConnectEnd copy_rest(Peer& peer, int output) {
  while (!peer.left()) {
    Watch watch = watch_for(peer, -1);
    watch.wait(sys::Deadline::never());
    if (watch.peer.revents != 0) write_all(output, peer.receive_some());
  }
  return peer.end();
}

/// Reads replies until `lines` newlines have come or the server has left, and writes them to
/// `output`.
void copy_lines(Peer& peer, std::size_t lines, int output) {
  while (!peer.left() && lines > 0) {
    Watch watch = watch_for(peer, -1);
    watch.wait(sys::Deadline::never());
    if ((watch.peer.revents & POLLOUT) != 0) peer.send_some();
    if ((watch.peer.revents & ~POLLOUT) == 0) continue;
    const std::string_view reply = peer.receive_some();
    const auto ends = static_cast<std::size_t>(std::count(reply.begin(), reply.end(), '\n'));
    lines -= std::min(ends, lines);
    write_all(output, reply);
  }
}

/// Waits for the time of the next message; what comes meanwhile is written, and a server that
/// leaves is noticed at once.
void pause_until(Peer& peer, sys::Deadline deadline, int output) {
  while (!peer.left() && !deadline.passed()) {
    Watch watch = watch_for(peer, -1);
    watch.wait(deadline);
    if (watch.peer.revents != 0) write_all(output, peer.receive_some());
  }
}

}  // namespace

ConnectEnd copy_both_ways(sys::Descriptor socket, const CopyOptions& options) {
  Peer peer(std::move(socket));
  std::vector<char> buffer(buffer_size);
  if (options.prompts) write_all(options.output, prompt);
  while (!peer.left()) {
    Watch watch = watch_for(peer, options.input);
    watch.wait(sys::Deadline::never());
    if ((watch.peer.revents & POLLOUT) != 0) peer.send_some();
    if ((watch.peer.revents & ~POLLOUT) != 0) {
      const std::string_view reply = peer.receive_some();
      write_all(options.output, reply);
      if (options.prompts && reply.ends_with('\n')) write_all(options.output, prompt);
    }
    if (watch.input.revents != 0) read_input(peer, options.input, buffer);
  }
  if (options.prompts) write_all(options.output, "\n");
  return peer.end();
}

ConnectEnd send_messages(sys::Descriptor socket, const MessageOptions& options) {
  Peer peer(std::move(socket));
  const std::string line = options.text + '\n';
  const auto newlines = static_cast<std::size_t>(std::count(line.begin(), line.end(), '\n'));
  auto next = sys::Clock::now();
  for (std::uint64_t sent = 0; !peer.left() && (!options.count || sent < *options.count); ++sent) {
    pause_until(peer, sys::Deadline::at(next), options.output);
    if (peer.left()) break;
    next += options.every;
    peer.offer(line);
    peer.send_some();
    copy_lines(peer, newlines, options.output);
  }
  if (peer.left()) return ConnectEnd::server_left;
  peer.half_close();
  return copy_rest(peer, options.output);
}

}  // namespace forkecho::client
