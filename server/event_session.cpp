#include "server/event_session.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace forkecho::server {
namespace {

using TimePoint = sys::Clock::time_point;

/// Bytes that one session may move in one turn, so that a fast client does not starve the others.
constexpr std::size_t turn_bytes = 256 * 1024;
/// As in serve_connection.h: how long late bytes are waited for after we have ended.
constexpr auto linger_time = std::chrono::seconds(1);

bool has_passed(sys::Duration timeout, TimePoint since, TimePoint now) {
  return timeout != sys::Duration::zero() && now - since >= timeout;
}

}  // namespace

EventSession::EventSession(sys::Descriptor socket, const Options& options, TimePoint now)
    : socket_(std::move(socket)),
      timeouts_(options.timeouts),
      uppercaser_(options.transform),
      opened_(now),
      last_input_(now) {}

void EventSession::on_readable(EventBuffers buffers, Meter& meter, TimePoint now) {
  if (phase_ == Phase::lingering) {
    discard(buffers);
  } else if (phase_ == Phase::open) {
    receive(buffers, meter, now, turn_bytes);
  }
}

void EventSession::receive(EventBuffers buffers, Meter& meter, TimePoint now, std::size_t at_most) {
  while (at_most > 0 && phase_ == Phase::open && !ending_ && !is_stalled()) {
    const std::size_t room = std::min(buffers.input.size(), at_most);
    const ssize_t received = recv(socket_.get(), buffers.input.data(), room, MSG_DONTWAIT);
    if (received == 0) return end_of_stream(buffers, meter, now);
    if (received < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) ending_ = Ending::served;  // reset by the client
      return;
    }
    const auto count = static_cast<std::size_t>(received);
    meter.bytes_in.add(count);
    first_byte_seen_ = true;
    last_input_ = now;
    send(uppercaser_.feed(buffers.input.first(count), buffers.scratch), meter, now);
    at_most -= count;
    if (count < room) return;  // the rest, if it comes, is an event of its own
  }
}

void EventSession::end_of_stream(EventBuffers buffers, Meter& meter, TimePoint now) {
  phase_ = Phase::answering;
  send(uppercaser_.finish(buffers.scratch), meter, now);
  if (!is_stalled()) ending_ = ending_.value_or(Ending::served);
}

void EventSession::send(std::string_view data, Meter& meter, TimePoint now) {
  while (!data.empty()) {
    const ssize_t sent =
        ::send(socket_.get(), data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) {
        ending_ = Ending::served;  // reset by the client
        return;
      }
      stalled_since_ = now;
      unsent_ = data;
      return;
    }
    meter.bytes_out.add(static_cast<std::uint64_t>(sent));
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void EventSession::on_writable(Meter& meter, TimePoint now) {
  std::string rest;
  rest.swap(unsent_);
  send(rest, meter, now);
  if (is_stalled() || ending_) return;
  if (phase_ == Phase::answering) ending_ = Ending::served;
  if (ending_after_linger_) end_from_our_side(*ending_after_linger_, now);
}

void EventSession::end_from_our_side(Ending ending, TimePoint now) {
  ending_after_linger_ = ending;
  if (is_stalled()) return;  // on_writable comes back here
  phase_ = Phase::lingering;
  lingering_since_ = now;
  shutdown(socket_.get(), SHUT_WR);
}

void EventSession::discard(EventBuffers buffers) {
  for (int i = 0; i < 16; ++i) {
    const ssize_t received =
        recv(socket_.get(), buffers.input.data(), buffers.input.size(), MSG_DONTWAIT);
    if (received > 0 || (received < 0 && errno == EINTR)) continue;
    if (received == 0 || errno != EAGAIN) ending_ = ending_after_linger_;
    return;
  }
}

std::optional<Ending> EventSession::expired(TimePoint now) const {
  if (has_passed(timeouts_.lifetime, opened_, now)) return Ending::lifetime_timeout;
  if (is_stalled()) {
    // A client that does not read may not hold up the end of the daemon for longer than this.
    const bool too_long = ending_after_linger_ && now - stalled_since_ >= linger_time;
    return too_long || has_passed(timeouts_.write, stalled_since_, now)
               ? std::optional(Ending::write_timeout)
               : std::nullopt;
  }
  if (!first_byte_seen_ && timeouts_.first_byte.count() != 0) {
    return has_passed(timeouts_.first_byte, opened_, now)
               ? std::optional(Ending::first_byte_timeout)
               : std::nullopt;
  }
  return has_passed(timeouts_.idle, last_input_, now) ? std::optional(Ending::idle_timeout)
                                                      : std::nullopt;
}

void EventSession::check_timeouts(TimePoint now, Meter& meter) {
  if (phase_ == Phase::lingering) {
    if (now - lingering_since_ >= linger_time) ending_ = ending_after_linger_;
    return;
  }
  const auto why = expired(now);
  if (!why) return;
  if (is_stalled()) {
    ending_ = ending_after_linger_.value_or(*why);
    return;
  }
  char rest[Uppercaser::max_output(0)];
  send(uppercaser_.finish(rest), meter, now);
  end_from_our_side(*why, now);
}

void EventSession::finish(EventBuffers buffers, Meter& meter, TimePoint now) {
  if (phase_ != Phase::open || ending_after_linger_) return;
  int queued = 0;
  ioctl(socket_.get(), FIONREAD, &queued);
  receive(buffers, meter, now, static_cast<std::size_t>(queued));
  if (ending_ || phase_ != Phase::open) return;
  // The client may have ended as well: then it was served to its end.
  char next = 0;
  if (!is_stalled() && recv(socket_.get(), &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
    return end_of_stream(buffers, meter, now);
  }
  if (!is_stalled()) send(uppercaser_.finish(buffers.scratch), meter, now);
  if (!ending_) end_from_our_side(Ending::drain_timeout, now);
}

}  // namespace forkecho::server
