// Conversation: one of the connections that a worker holds, as a coroutine: connect, requests and
// their replies, close, and again, until the run has no more for it to do. When a request may be
// sent the pacer says. Where connections are not held (crr, --requests-per-connection), one is made
// when there is a request for it.
//
// Made by the worker, in its process; must live as long as the worker's loop runs. What goes wrong
// with the server is written into the books; std::system_error is thrown for what should not fail.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "client/event_loop.h"
#include "client/first_connection.h"
#include "client/pacer.h"
#include "client/payload.h"
#include "client/run_clock.h"
#include "client/source_addresses.h"
#include "client/worker_books.h"
#include "common/sys/descriptor.h"
#include "common/sys/socket_address.h"

namespace forkecho::client {

/// Where connections go, and where from.
struct Route {
  sys::SocketAddress target;
  SourceAddresses sources;
};

/// What the conversations of one worker share.
struct WorkerContext {
  const LoadPlan& plan;
  const RunClock& clock;
  WorkerBooks& books;
  ArrivalSample& arrivals;
  std::span<const Exchange> exchanges;
  EventLoop& loop;
  Pacer& pacer;
  std::vector<char> buffer;  // replies are compared here and kept nowhere
  std::size_t talking =
      0;  // conversations, and the pacer, under way; the last to end stops the loop

  void one_ended() {
    if (--talking == 0) loop.stop();
  }
};

class Conversation {
 public:
  /// Number `index` of the worker's conversations begins with another exchange than its neighbours.
  /// It connects from `begin` on, by `route`, which must outlive it.
  Conversation(WorkerContext& context, Route& route, std::size_t index, Moment begin);
  Conversation(Conversation&&) = delete;

  /// Begins, and goes on within the context's loop. `first`, if it has a socket, is the connection
  /// that the parent made, used as the first of this conversation.
  void start(FirstConnection first);

 private:
  enum class Step {
    wait,    // for the socket
    later,   // try again in a moment
    done,    // well: go on
    broken,  // the connection is of no more use; counted already
  };
  /// A request that was sent, or is being sent, and whose reply is not there yet.
  struct Request {
    const Exchange* exchange;
    Moment intended;
    Moment sent;
    Moment deadline;
    bool measured;
  };

  Detached talk(FirstConnection first);
  auto ready(std::uint32_t events) { return context_.loop.until(waiting_, events, deadline_); }
  auto pause();

  // Whether the run has more to do.
  bool wants_connection();
  bool waits_for_request();
  bool is_held() const { return requests_on_each_ == 0; }

  // Connecting.
  Step adopt(FirstConnection first);
  Step connect();
  Step finish_connect();
  Step connected(Moment now);
  Step connect_timed_out();
  Step connect_failed(int error);
  void watch(std::uint32_t events);

  // Requests and their replies.
  Step converse();
  Step go_on(bool woken);
  bool may_begin();
  bool begin_request();
  std::optional<Ticket> next_ticket();
  std::optional<Ticket> take();
  void note_place(bool was_full);
  bool may_follow() const;
  Step send_rest();
  Step receive();
  Step take_in(std::string_view bytes, Moment now);
  void compare(std::string_view part);
  void completed(Moment now);
  void out_of_step(Counter& kind, bool measured);
  Step request_failed(Counter& kind);
  Step request_timed_out() { return request_failed(context_.books.requests_timed_out); }
  Step ended();
  Step failed_with(int error);
  std::uint32_t awaited() const;
  Moment next_deadline() const;
  bool is_full() const { return in_flight_ == requests_.size() || is_sending(); }
  bool is_sending() const { return in_flight_ > 0 && sent_ < newest().exchange->request.size(); }
  Request& oldest() { return requests_[oldest_]; }
  const Request& newest() const { return requests_[(oldest_ + in_flight_ - 1) % requests_.size()]; }

  // Closing.
  Step close();
  Step half_close();
  Step drain();
  Step close_failed(Counter& kind);

  void count(Counter& counter) const {
    if (measured_) counter.add(1);
  }
  void record(LatencyHistogram& histogram, Moment from, Moment until) const;
  bool is_open() const { return is_open_loop(context_.plan); }

  WorkerContext& context_;
  Route& route_;
  const Moment begin_;
  const std::uint64_t requests_on_each_;
  Waiting waiting_;
  Place place_;
  sys::Descriptor socket_;
  Moment deadline_{};  // of the connect or the close that is under way
  Moment began_{};     // likewise
  Moment now_{};       // the last look at the clock
  bool measured_ =
      false;  // the connect or the close that is under way was begun in the measured part
  bool watches_output_ = false;
  bool in_step_ = true;  // no reply was wrong, so what comes next answers what was asked next
  bool ending_ = false;  // the pacer has no more for this conversation
  std::optional<Ticket> ticket_;  // taken, and its request is not sent yet
  std::uint64_t requests_on_connection_ = 0;
  Moment thinks_until_{};
  unsigned failures_in_a_row_ = 0;
  std::size_t next_exchange_;
  const Exchange* previous_ = nullptr;  // the last that was answered on this connection
  bool previous_measured_ = false;
  // A ring of the requests in flight, the oldest first: replies come in their order.
  std::vector<Request> requests_;
  std::size_t oldest_ = 0;
  std::size_t in_flight_ = 0;
  std::size_t sent_ = 0;      // bytes of the newest
  std::size_t received_ = 0;  // bytes of the oldest one's reply
  bool matches_ = true;       // so far
  bool repeats_ = true;  // so far it is the previous reply once more: the server answered twice
};

}  // namespace forkecho::client
