#include "server/event_session.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "server/stress.h"

namespace forkecho::server {
namespace {

using TimePoint = sys::Clock::time_point;

/// Bytes that one session may move in one turn, so that a fast client does not starve the others.
constexpr std::size_t turn_bytes = 256 * 1024;
/// As in serve_connection.h: how long late bytes are waited for after we have ended.
constexpr auto linger_time = std::chrono::seconds(1);
/// How long a client that reads slowly may take, in all, for the answers to what was received when
/// the daemon finishes.
constexpr auto finish_time = std::chrono::seconds(3);

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
    std::size_t share = turn_bytes;
    receive(buffers, meter, now, share);
  }
}

void EventSession::receive(EventBuffers buffers, Meter& meter, TimePoint now, std::size_t& share) {
  while (share > 0 && phase_ == Phase::open && !ending_ && !is_stalled()) {
    const std::size_t room = std::min(buffers.input.size(), share);
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
    share -= count;
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

void EventSession::on_writable(EventBuffers buffers, Meter& meter, TimePoint now) {
  std::string rest;
  rest.swap(unsent_);
  send(rest, meter, now);
  if (is_stalled() || ending_) return;
  last_input_ = now;  // nothing was read meanwhile, so the client was not idle
  if (phase_ == Phase::answering) {
    ending_ = Ending::served;
  } else if (ending_after_linger_) {
    end_from_our_side(*ending_after_linger_, now);
  } else if (left_to_answer_) {
    answer_what_is_left(buffers, meter, now);
  }
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

/// A client that does not read may not hold up the end of the daemon for longer than this.
bool EventSession::holds_up_the_end(TimePoint now) const {
  if (!left_to_answer_) return ending_after_linger_ && now - stalled_since_ >= linger_time;
  return now - std::max(stalled_since_, finishing_since_) >= linger_time ||
         now - finishing_since_ >= finish_time;
}

std::optional<Ending> EventSession::expired(TimePoint now, const Timeouts& timeouts) const {
  if (has_passed(timeouts.lifetime, opened_, now)) return Ending::lifetime_timeout;
  if (is_stalled()) {
    const bool too_long = holds_up_the_end(now) || has_passed(timeouts.write, stalled_since_, now);
    return too_long ? std::optional(Ending::write_timeout) : std::nullopt;
  }
  if (!first_byte_seen_ && timeouts.first_byte.count() != 0) {
    return has_passed(timeouts.first_byte, opened_, now) ? std::optional(Ending::first_byte_timeout)
                                                         : std::nullopt;
  }
  return has_passed(timeouts.idle, last_input_, now) ? std::optional(Ending::idle_timeout)
                                                     : std::nullopt;
}

void EventSession::check_timeouts(TimePoint now, Meter& meter, bool stressed) {
  if (phase_ == Phase::lingering) {
    if (now - lingering_since_ >= linger_time) ending_ = ending_after_linger_;
    return;
  }
  const auto why = expired(now, stressed ? under_stress(timeouts_) : timeouts_);
  if (!why) return;
  if (is_stalled()) {
    ending_ = ending_after_linger_.value_or(left_to_answer_ ? Ending::drain_timeout : *why);
    return;
  }
  char rest[Uppercaser::max_output(0)];
  send(uppercaser_.finish(rest), meter, now);
  end_from_our_side(*why, now);
}

void EventSession::finish(EventBuffers buffers, Meter& meter, TimePoint now) {
  if (phase_ == Phase::lingering || left_to_answer_) return;
  int queued = 0;
  if (phase_ == Phase::open && !ending_after_linger_) ioctl(socket_.get(), FIONREAD, &queued);
  left_to_answer_ = static_cast<std::size_t>(queued);
  finishing_since_ = now;
  if (!is_stalled()) answer_what_is_left(buffers, meter, now);
}

void EventSession::answer_what_is_left(EventBuffers buffers, Meter& meter, TimePoint now) {
  receive(buffers, meter, now, *left_to_answer_);
  if (ending_ || is_stalled() || phase_ != Phase::open) return;
  // The client may have ended as well: then it was served to its end.
  if (client_has_ended()) return end_of_stream(buffers, meter, now);
  send(uppercaser_.finish(buffers.scratch), meter, now);
  if (!ending_) end_from_our_side(Ending::drain_timeout, now);
}

bool EventSession::client_has_ended() const {
  char next = 0;
  return recv(socket_.get(), &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

}  // namespace forkecho::server
