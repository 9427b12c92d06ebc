// Pacer: who gets which request when. Each connection of a worker asks it (`take`) when it has a
// place for a request; in a closed loop the answer is "now", until the run is over; in an open loop
// the requests come from the worker's share of the schedule, and a connection that finds nothing
// due waits in line until the pacer's own timer wakes it.
//
// One for each worker, made after the fork; belongs to its loop. The plan is absolute: what is late
// is sent as soon as there is a place, and what had none until the end is counted as shed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "client/event_loop.h"
#include "client/load_plan.h"
#include "client/run_clock.h"
#include "client/schedule.h"
#include "client/worker_books.h"

namespace forkecho::client {

using Moment = sys::Clock::time_point;

/// Leave to send one request.
struct Ticket {
  Moment intended;
  Moment possible;  // intended, or when there was a place for it: what is later
  bool measured;
  std::uint64_t number;  // within the plan; 0 in a closed loop
};

/// Where the pacer finds a connection that could send. Owned by the connection.
struct Place {
  Waiting* waiting = nullptr;
  bool free = false;    // one more request could be sent
  Moment free_since{};  // while free
  // The pacer's own notes.
  bool in_line = false;
  Place* behind = nullptr;  // the next in line
};

class Pacer {
 public:
  struct Share {
    unsigned workers;
    unsigned worker;
  };
  Pacer(const LoadPlan& plan, const RunClock& clock, RunControl& control, WorkerBooks& books,
        EventLoop& loop, Share share);
  Pacer(const Pacer&) = delete;
  Pacer& operator=(const Pacer&) = delete;

  /// Open loop: to be told of every place before start.
  void add(Place& place) { places_.push_back(&place); }
  /// Begins to wake places, within the loop, and calls `ended` when nothing is left to be sent. In
  /// a closed loop it does neither.
  template <typename Ended>
  void start(Ended ended) {
    if (!is_open_loop(plan_)) return;
    run(ended);
    watch();
  }

  /// A request for `place`, if it may have one now. In an open loop, when it may not, the place
  /// stands in line and will be nudged; unless over().
  std::optional<Ticket> take(Place& place, Moment now);
  /// No request will come any more.
  bool over(Moment now) const;
  /// No request is sent from then on.
  Moment last_send() const { return last_send_; }
  /// A ticket that was taken in an open loop cannot be used: its connection could not be made.
  void lost(const Ticket& ticket, bool own_fault);

 private:
  template <typename Ended>
  Detached run(Ended ended) {
    while (!ended_) {
      serve_line(sys::Clock::now());
      co_await loop_.until(timer_, nudged, next_due());
      timer_.used_up(nudged);
    }
    close_books(sys::Clock::now());
    ended();
  }

  Detached watch();
  std::optional<Ticket> take_closed(Moment now);
  std::optional<Ticket> take_due(const Place& place, Moment now);
  bool is_due(Moment now);
  void begin_measured_part(Moment now);
  Moment due() const { return clock_.start + schedule_.due(); }
  void line_up(Place& place);
  void serve_line(Moment now);
  Place* first_in_line();
  void leave_line();
  Moment next_due() const;
  void close_books(Moment now);

  const LoadPlan& plan_;
  const RunClock& clock_;
  RunControl& control_;
  WorkerBooks& books_;
  EventLoop& loop_;
  bool in_warm_up_;
  Schedule schedule_;  // of the warm-up; then
  Schedule measured_schedule_;
  Moment last_send_;  // no request is sent from here on
  bool ended_ = false;
  Waiting timer_;
  Waiting watch_;
  std::vector<Place*> places_;
  // Those that were free when nothing was due, the longest free first: a list through the places
  // themselves, since a queue of its own would allocate as it moves on.
  Place* first_ = nullptr;
  Place* last_ = nullptr;
};

/// For how long after the end of the measured part what was due in it may still be sent.
sys::Duration time_to_catch_up(const LoadPlan& plan);

/// The parts of a run's plan.
SchedulePart warm_up_part(const LoadPlan& plan);
SchedulePart measured_part(const LoadPlan& plan);

}  // namespace forkecho::client
