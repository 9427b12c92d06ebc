// EventSession: one connection of an event worker: what must be kept between two readiness events.
// The bytes being moved live in buffers that all sessions of the worker share; a session owns
// memory for bytes only while its client is slow to read.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"
#include "server/book.h"
#include "server/options.h"
#include "server/scoreboard.h"
#include "server/uppercase.h"

namespace forkecho::server {

/// Buffers for one chunk, shared by all sessions of a worker.
struct EventBuffers {
  std::span<char> input;
  std::span<char> scratch;  // Uppercaser::max_output(input.size())
};

class EventSession {
 public:
  EventSession(sys::Descriptor socket, const Options& options, sys::Clock::time_point now);

  int socket() const { return socket_.get(); }
  /// The socket is readable (or was closed): reads, answers, until nothing is left, a share for
  /// this turn is used up, or the client is slow. Sets ending() when the connection is over.
  void on_readable(EventBuffers buffers, Meter& meter, sys::Clock::time_point now);
  /// There is room to send what was left.
  void on_writable(EventBuffers buffers, Meter& meter, sys::Clock::time_point now);
  /// True while bytes wait for the client to read: then it is to be watched for room, not for
  /// input.
  bool is_stalled() const { return !unsent_.empty(); }
  /// Whether the next deadline has passed; sets ending() if so.
  void check_timeouts(sys::Clock::time_point now, Meter& meter);
  /// Answers what has been received by now, then half-closes and lets late bytes run out. What a
  /// slow client has no room for goes out with on_writable, within a bound of time.
  void finish(EventBuffers buffers, Meter& meter, sys::Clock::time_point now);
  /// It cannot be gone on with: for want of memory.
  void fail() { ending_ = Ending::crashed; }
  /// Set once the connection is over and its socket may be closed.
  std::optional<Ending> ending() const { return ending_; }

 private:
  enum class Phase {
    open,       // reading and answering
    answering,  // the client has ended: the rest of the answer goes out
    lingering,  // we have ended: what still comes is discarded, within a bound
  };
  void receive(EventBuffers buffers, Meter& meter, sys::Clock::time_point now, std::size_t& share);
  void answer_what_is_left(EventBuffers buffers, Meter& meter, sys::Clock::time_point now);
  bool client_has_ended() const;
  void send(std::string_view data, Meter& meter, sys::Clock::time_point now);
  void end_of_stream(EventBuffers buffers, Meter& meter, sys::Clock::time_point now);
  void end_from_our_side(Ending ending, sys::Clock::time_point now);
  void discard(EventBuffers buffers);
  bool holds_up_the_end(sys::Clock::time_point now) const;
  std::optional<Ending> expired(sys::Clock::time_point now) const;

  sys::Descriptor socket_;
  const Timeouts& timeouts_;
  Uppercaser uppercaser_;
  Phase phase_ = Phase::open;
  bool first_byte_seen_ = false;
  sys::Clock::time_point opened_;
  sys::Clock::time_point last_input_;
  sys::Clock::time_point stalled_since_{};
  sys::Clock::time_point finishing_since_{};
  sys::Clock::time_point lingering_since_{};
  std::optional<std::size_t> left_to_answer_;  // set by finish
  std::optional<Ending> ending_after_linger_;
  std::optional<Ending> ending_;
  std::string unsent_;
};

}  // namespace forkecho::server
