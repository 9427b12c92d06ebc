#include "server/seats.h"

#include <algorithm>
#include <utility>

#include "server/backoff.h"

namespace forkecho::server {

Seats::Seats(std::shared_ptr<const Options> options, std::size_t count, bool has_passer)
    : options_(std::move(options)),
      has_passer_(has_passer),
      seats_(count + (has_passer ? 1 : 0)),
      pages_(std::make_shared<GenerationPages>(seats_.size() + 1, *options_)) {
  seats_.back().passes = has_passer;
}

Seat* Seats::of(pid_t pid) {
  const auto found = std::ranges::find(seats_, pid, &Seat::pid);
  return found == seats_.end() ? nullptr : &*found;
}

Seat* Seats::find_free() {
  const auto found =
      std::ranges::find_if(seats_, [](const Seat& s) { return s.pid == 0 && !s.passes; });
  return found == seats_.end() ? nullptr : &*found;
}

unsigned Seats::seated() const {
  return static_cast<unsigned>(
      std::ranges::count_if(seats_, [](const Seat& s) { return s.pid != 0 && !s.passes; }));
}

bool Seats::nobody_sits() const {
  return std::ranges::all_of(seats_, [](const Seat& s) { return s.pid == 0; });
}

bool Seats::is_open(const Seat& seat) const {
  return seat.pid != 0 && page_of(seat).door.load(std::memory_order_acquire) == Door::open;
}

bool Seats::is_serving(const Seat& seat) const {
  return page_of(seat).slot.state.load(std::memory_order_acquire) == SlotState::serving;
}

const BookTotals& Seats::book_of(const Seat& seat) const {
  BookTotals claimed = read_page(page_of(seat));
  if (!forks_children(*options_)) claimed.forked = claimed.reaped = 0;  // those are ours to count
  return seat.book.look(claimed, sys::Clock::now());
}

bool Seats::has_proved_itself(const Seat& seat) const {
  return book_of(seat).accepted > 0 || page_of(seat).slot.connections.get() > 0 ||
         sys::Clock::now() - seat.started >= Backoff::first;
}

bool Seats::others_are_well(const Seat& dead) const {
  return std::ranges::any_of(seats_, [&](const Seat& seat) {
    return &seat != &dead && seat.passes == dead.passes && seat.pid != 0 && has_proved_itself(seat);
  });
}

BookTotals Seats::totals() const {
  BookTotals totals;
  for (const Seat& seat : seats_) {
    if (seat.pid != 0) totals += book_of(seat);
  }
  return totals;
}

unsigned Seats::busy() const {
  unsigned busy = 0;
  for (const Seat& seat : seats_) busy += seat.pid != 0 && is_serving(seat);
  return busy;
}

std::vector<std::uint64_t> Seats::served_by_each() const {
  std::vector<std::uint64_t> served;
  if (forks_children(*options_)) return served;
  for (const Seat& seat : seats_) {
    if (seat.pid != 0 && !seat.passes) served.push_back(page_of(seat).slot.connections.get());
  }
  return served;
}

std::vector<AcceptorView> Seats::acceptors() const {
  std::vector<AcceptorView> views;
  if (!forks_children(*options_)) return views;
  for (const Seat& seat : seats_) {
    if (seat.pid == 0) continue;
    const BookTotals& book = book_of(seat);
    views.push_back({.number = static_cast<unsigned>(index_of(seat) + 1),
                     .pid = seat.pid,
                     .accepted = book.accepted,
                     .active = book.active(),
                     .children = book.forked - book.reaped});
  }
  return views;
}

pid_t Seats::someone_who_serves() const {
  pid_t found = 0;
  for (const Seat& seat : seats_) {
    if (seat.pid == 0 || seat.passes) continue;
    if (found == 0 || is_open(seat)) found = seat.pid;
    if (is_open(seat)) break;
  }
  return found;
}

std::uint64_t Seats::visit_slots(std::uint64_t most,
                                 const std::function<void(const Slot&)>& visit) const {
  std::uint64_t left = most;
  std::uint64_t omitted = 0;
  const auto show = [&](const Slot& slot) {
    if (left == 0) {
      ++omitted;
      return;
    }
    --left;
    visit(slot);
  };
  for (const Seat& seat : seats_) {
    if (seat.slots) omitted += seat.slots->visit_used(left, show);
    if (seat.pid != 0 && !forks_children(*options_) && !seat.passes) show(page_of(seat).slot);
  }
  return omitted;
}

}  // namespace forkecho::server
