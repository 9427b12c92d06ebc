#include "client/pacer.h"

#include <algorithm>

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

constexpr auto longest_sleep = 100ms;  // then the order to stop is looked for

// Every run has the same arrivals, so that runs can be compared. Of these the first gaps, sums of
// gaps and numbers are as a Poisson process most often has them, and nowhere at its edges.
constexpr std::uint64_t seed_of_measured_part = 387;

// Of a closed loop there is no schedule; the rate only has to be one.
RateCurve curve_of(const LoadPlan& plan) {
  return {is_open_loop(plan) ? plan.rate : 1, plan.ramp};
}

Schedule share_of_part(const LoadPlan& plan, const SchedulePart& part, Pacer::Share share) {
  return {curve_of(plan), plan.arrivals, part, share.workers, share.worker};
}

Moment last_send_of(const LoadPlan& plan, const RunClock& clock) {
  if (plan.requests != 0 || !is_open_loop(plan)) return clock.measure_end;
  return clock.measure_end + time_to_catch_up(plan);
}

}  // namespace

// A tenth of the measured part, so that an overloaded run is not longer than asked by more than
// that; at least what a worker may wake up late.
sys::Duration time_to_catch_up(const LoadPlan& plan) {
  return std::min<sys::Duration>(plan.timeout, std::max<sys::Duration>(100ms, plan.duration / 10));
}

SchedulePart warm_up_part(const LoadPlan& plan) {
  return {.from = sys::Duration::zero(), .until = plan.warmup};
}

SchedulePart measured_part(const LoadPlan& plan) {
  if (plan.requests != 0)
    return {.from = plan.warmup,
            .until = sys::Duration::max(),
            .limit = plan.requests,
            .seed = seed_of_measured_part};
  return {.from = plan.warmup, .until = plan.warmup + plan.duration, .seed = seed_of_measured_part};
}

Pacer::Pacer(const LoadPlan& plan, const RunClock& clock, RunControl& control, WorkerBooks& books,
             EventLoop& loop, Share share)
    : plan_(plan),
      clock_(clock),
      control_(control),
      books_(books),
      loop_(loop),
      in_warm_up_(plan.warmup > sys::Duration::zero()),
      schedule_(share_of_part(plan, warm_up_part(plan), share)),
      measured_schedule_(share_of_part(plan, measured_part(plan), share)),
      last_send_(last_send_of(plan, clock)) {
  if (!in_warm_up_) schedule_ = measured_schedule_;
}

std::optional<Ticket> Pacer::take(Place& place, Moment now) {
  if (!is_open_loop(plan_)) return take_closed(now);
  if (over(now)) return std::nullopt;
  if (is_due(now)) return take_due(place, now);
  line_up(place);
  return std::nullopt;
}

std::optional<Ticket> Pacer::take_closed(Moment now) {
  const bool measured = now >= clock_.measure_start;
  if (over(now)) return std::nullopt;
  if (measured && plan_.requests != 0 &&
      control_.requests_taken.fetch_add(1, std::memory_order_relaxed) >= plan_.requests)
    return std::nullopt;
  return Ticket{.intended = now, .possible = now, .measured = measured, .number = 0};
}

bool Pacer::over(Moment now) const {
  if (control_.stop.load(std::memory_order_relaxed)) return true;
  if (is_open_loop(plan_)) return !in_warm_up_ && (schedule_.over() || now >= last_send_);
  if (plan_.requests == 0) return now >= clock_.measure_end;
  return now >= clock_.measure_start &&
         control_.requests_taken.load(std::memory_order_relaxed) >= plan_.requests;
}

bool Pacer::is_due(Moment now) {
  begin_measured_part(now);
  return !schedule_.over() && due() <= now;
}

/// What the warm-up has not sent by then is forgotten with it.
void Pacer::begin_measured_part(Moment now) {
  if (!in_warm_up_ || now < clock_.measure_start) return;
  in_warm_up_ = false;
  schedule_ = measured_schedule_;
}

std::optional<Ticket> Pacer::take_due(const Place& place, Moment now) {
  // A worker that wakes up late finds replies and due requests at once: there may have been another
  // place long before the one that is offered.
  const Place* first = first_in_line();
  const Moment free_since =
      first == nullptr ? place.free_since : std::min(place.free_since, first->free_since);
  const Ticket ticket{.intended = due(),
                      .possible = std::min(std::max(due(), free_since), now),
                      .measured = !in_warm_up_,
                      .number = schedule_.number()};
  schedule_.advance();
  return ticket;
}

void Pacer::line_up(Place& place) {
  if (place.in_line) return;
  place.in_line = true;
  place.behind = nullptr;
  (first_ == nullptr ? first_ : last_->behind) = &place;
  last_ = &place;
  loop_.set_deadline(timer_, next_due());
}

/// Those that are no longer free have left the line without a word.
Place* Pacer::first_in_line() {
  while (first_ != nullptr && !first_->free) leave_line();
  return first_;
}

void Pacer::leave_line() {
  first_->in_line = false;
  first_ = first_->behind;
}

void Pacer::serve_line(Moment now) {
  for (Place* place = first_in_line(); place != nullptr && is_due(now); place = first_in_line()) {
    leave_line();
    loop_.nudge(*place->waiting);
  }
}

/// Of the next request, if somebody waits for it.
Moment Pacer::next_due() const {
  if (first_ == nullptr) return Moment::max();
  if (!schedule_.over()) return due();
  return in_warm_up_ && !measured_schedule_.over() ? clock_.start + measured_schedule_.due()
                                                   : Moment::max();
}

/// Sees to it that the end is noticed, whether or not anybody asks for a request.
Detached Pacer::watch() {
  for (Moment now = sys::Clock::now(); !over(now); now = sys::Clock::now()) {
    begin_measured_part(now);
    Moment next = std::min(now + longest_sleep, last_send_);
    if (in_warm_up_) next = std::min(next, clock_.measure_start);
    co_await loop_.until(watch_, 0, next);
  }
  ended_ = true;
  loop_.nudge(timer_);
}

void Pacer::lost(const Ticket& ticket, bool own_fault) {
  if (ticket.measured) (own_fault ? books_.shed_by_generator : books_.shed_by_server).add(1);
}

void Pacer::close_books(Moment now) {
  if (!in_warm_up_) {
    const bool stopped = control_.stop.load(std::memory_order_relaxed);
    const auto until = stopped ? now - clock_.start : sys::Duration::max();
    const std::uint64_t unsent = schedule_.skip_due_before(until);
    (first_in_line() != nullptr ? books_.shed_by_generator : books_.shed_by_server).add(unsent);
  }
  first_ = nullptr;
  for (Place* place : places_) {
    place->in_line = false;
    loop_.nudge(*place->waiting);
  }
}

}  // namespace forkecho::client
