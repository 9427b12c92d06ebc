#include "server/metrics_conversation.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace forkecho::server {
namespace {

constexpr std::size_t most_discarded = std::size_t{1} << 20;

bool try_again_later() {
  return errno == EAGAIN || errno == EINTR;
}

std::string_view status_line(MetricsReply status) {
  switch (status) {
    case MetricsReply::metrics:
    case MetricsReply::health:
      return "200 OK";
    case MetricsReply::bad_request:
      return "400 Bad Request";
    case MetricsReply::not_found:
      return "404 Not Found";
    case MetricsReply::method_not_allowed:
      return "405 Method Not Allowed";
    case MetricsReply::request_timeout:
      return "408 Request Timeout";
    case MetricsReply::too_long:
      return "431 Request Header Fields Too Large";
    case MetricsReply::unavailable:
      return "503 Service Unavailable";
    case MetricsReply::unknown_version:
      return "505 HTTP Version Not Supported";
  }
  return "500 Internal Server Error";
}

std::string_view content_type(MetricsReply status) {
  return status == MetricsReply::metrics ? "text/plain; version=0.0.4; charset=utf-8"
                                         : "text/plain; charset=utf-8";
}

}  // namespace

std::string render_reply(const MetricsConversation::Body& body, bool header_only) {
  std::string reply = fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n",
      status_line(body.status), content_type(body.status), body.text.size(),
      body.status == MetricsReply::method_not_allowed ? "Allow: GET, HEAD\r\n" : "");
  return header_only ? reply : reply + body.text;
}

MetricsConversation::MetricsConversation(sys::Descriptor socket, const Answer& answer,
                                         MetricsPatience patience)
    : socket_(std::move(socket)),
      answer_(answer),
      patience_(patience),
      deadline_(sys::Deadline::after(patience.request)) {}

short MetricsConversation::events() const {
  return phase_ == Phase::sending ? POLLOUT : POLLIN;
}

void MetricsConversation::on_ready() {
  if (phase_ == Phase::receiving) receive();
  if (phase_ == Phase::sending) send();
  if (phase_ == Phase::ending) discard();
}

void MetricsConversation::receive() {
  std::array<char, longest_metrics_request> chunk;
  const ssize_t count = recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (count < 0 && try_again_later()) return;
  if (count <= 0) {
    phase_ = Phase::over;
    return;
  }
  received_.append(chunk.data(), static_cast<std::size_t>(count));
  const MetricsRequest request = parse_metrics_request(received_);
  if (request.state != MetricsRequest::State::incomplete) reply_to(request);
}

void MetricsConversation::reply_to(const MetricsRequest& request) {
  reply_ = render_reply(answer_(decide_reply(request)), wants_header_only(request));
  unsent_ = reply_;
  phase_ = Phase::sending;
  deadline_ = sys::Deadline::after(patience_.reply);
}

void MetricsConversation::send() {
  while (!unsent_.empty()) {
    const ssize_t sent =
        ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && try_again_later()) return;
    if (sent < 0) {
      phase_ = Phase::over;
      return;
    }
    unsent_.remove_prefix(static_cast<std::size_t>(sent));
  }
  shutdown(socket_.get(), SHUT_WR);
  phase_ = Phase::ending;
  deadline_ = sys::Deadline::after(patience_.end);
}

void MetricsConversation::discard() {
  std::array<char, 16384> chunk;
  while (discarded_ < most_discarded) {
    const ssize_t count = recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count < 0 && try_again_later()) return;
    if (count <= 0) break;
    discarded_ += static_cast<std::size_t>(count);
  }
  phase_ = Phase::over;
}

void MetricsConversation::check_time() {
  if (over() || !deadline_.passed()) return;
  // Who began a request is told; who said nothing is not.
  if (phase_ != Phase::receiving || received_.empty()) {
    phase_ = Phase::over;
    return;
  }
  reply_ = render_reply(answer_(MetricsReply::request_timeout), false);
  unsent_ = reply_;
  phase_ = Phase::sending;
  deadline_ = sys::Deadline::after(patience_.end);
  send();
}

}  // namespace forkecho::server
