// Conversation: one of the connections that a worker holds, as a coroutine: connect, requests and
// their replies, close, and again, until the run has no more for it to do. crr is the same as rr
// with one request for each connection.
//
// Made by the worker, in its process; must live as long as the worker's loop runs. What goes wrong
// with the server is written into the books; std::system_error is thrown for what should not fail.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "client/event_loop.h"
#include "client/first_connection.h"
#include "client/payload.h"
#include "client/run_clock.h"
#include "client/source_addresses.h"
#include "client/worker_books.h"
#include "common/sys/descriptor.h"
#include "common/sys/socket_address.h"

namespace forkecho::client {

/// What the conversations of one worker share.
struct WorkerContext {
  const LoadPlan& plan;
  const RunClock& clock;
  RunControl& control;
  WorkerBooks& books;
  const sys::SocketAddress& target;
  std::span<const Exchange> exchanges;
  SourceAddresses sources;
  EventLoop loop;
  std::vector<char> buffer;  // replies are compared here and kept nowhere
  std::size_t talking = 0;   // conversations under way; the last to end stops the loop
};

class Conversation {
 public:
  /// Number `index` of the worker's conversations begins with another exchange than its neighbours.
  Conversation(WorkerContext& context, std::size_t index);
  Conversation(Conversation&&) = delete;

  /// Begins, and goes on within the context's loop. `first`, if it has a socket, is the connection
  /// that the parent made, used as the first of this conversation.
  void start(FirstConnection first);

 private:
  using Moment = sys::Clock::time_point;
  enum class Step {
    wait,    // for the socket
    later,   // try again in a moment
    done,    // well: go on
    broken,  // the connection is of no more use; counted already
  };

  Detached talk(FirstConnection first);
  auto ready(std::uint32_t events) { return context_.loop.until(waiting_, events, deadline_); }
  auto pause();

  // Whether the run has more to do.
  bool wants_connection(Moment now);
  bool wants_request(Moment now);
  bool take_request();

  // Connecting.
  Step adopt(FirstConnection first);
  Step connect();
  Step finish_connect();
  Step connected(Moment now);
  Step connect_timed_out();
  Step connect_failed(int error);
  void watch(std::uint32_t events);

  // A request and its reply.
  bool begin_request();
  Step exchange();
  Step send_rest();
  Step receive_rest();
  Step take_in(std::size_t bytes, Moment now);
  Step completed(Moment now);
  Step request_failed(Counter& kind);
  Step request_timed_out() { return request_failed(context_.books.requests_timed_out); }
  Step ended_early();
  Step failed_with(int error);
  std::uint32_t awaited() const;

  // Closing.
  Step half_close();
  Step drain();
  Step close_failed(Counter& kind);

  void count(Counter& counter) const {
    if (measured_) counter.add(1);
  }
  void record(LatencyHistogram& histogram, Moment from, Moment until) const;
  void note_outcome(Moment now);

  WorkerContext& context_;
  Waiting waiting_;
  sys::Descriptor socket_;
  Moment deadline_{};         // of the connect, the request or the close that is under way
  Moment began_{};            // likewise
  Moment now_{};              // the last look at the clock
  bool measured_ = false;     // what is under way was begun in the measured part
  bool has_request_ = false;  // one of the plan's number of requests was taken, and is not sent yet
  bool watches_output_ = false;
  bool in_step_ = true;  // no reply was wrong, so what comes next answers what was asked next
  std::uint64_t requests_on_connection_ = 0;
  unsigned failures_in_a_row_ = 0;
  std::size_t next_exchange_;
  const Exchange* current_ = nullptr;
  const Exchange* previous_ = nullptr;  // on this connection
  std::size_t sent_ = 0;                // bytes of the current request
  std::size_t received_ = 0;            // bytes of its reply
  bool matches_ = true;                 // so far
  bool repeats_ = true;  // so far it is the previous reply once more: the server answered twice
};

}  // namespace forkecho::client
