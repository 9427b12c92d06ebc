#include "common/mp/pool_books.h"

#include <algorithm>
#include <utility>

namespace forkecho::mp {

PoolBooks::PoolBooks(std::size_t places, unsigned tasks_per_worker)
    : tasks_per_worker_(tasks_per_worker), places_(places) {}

void PoolBooks::worker_came(std::size_t place) {
  places_[place] = {.present = true, .last_ticket = places_[place].last_ticket, .unanswered = {}};
}

void PoolBooks::worker_ready(std::size_t place) {
  places_[place].ready = true;
  places_[place].closed = false;
}

std::vector<PoolBooks::Offer> PoolBooks::worker_went(std::size_t place) {
  places_[place].present = false;
  return std::exchange(places_[place].unanswered, {});
}

bool PoolBooks::spent(std::size_t place) const {
  return tasks_per_worker_ != 0 && places_[place].answers >= tasks_per_worker_;
}

bool PoolBooks::may_have_more(const Place& place, std::size_t limit) const {
  const std::size_t had = place.answers + place.unanswered.size();
  return place.present && !place.closed && place.unanswered.size() < limit &&
         (tasks_per_worker_ == 0 || had < tasks_per_worker_);
}

std::optional<PoolBooks::Offer> PoolBooks::next_offer() const {
  if (waiting_.empty()) return std::nullopt;
  const auto first = [&](auto suits) -> std::optional<Offer> {
    const auto place = std::find_if(places_.begin(), places_.end(), suits);
    if (place == places_.end()) return std::nullopt;
    const auto index = static_cast<std::size_t>(place - places_.begin());
    return Offer{index, place->last_ticket + 1, *waiting_.begin()};
  };
  if (const auto idle = first([&](const Place& p) { return p.ready && may_have_more(p, 1); }))
    return idle;
  if (const auto newborn = first([&](const Place& p) { return may_have_more(p, 1); }))
    return newborn;
  return first([&](const Place& p) { return p.ready && may_have_more(p, depth); });
}

void PoolBooks::offered(const Offer& offer) {
  waiting_.erase(offer.task);
  places_[offer.place].last_ticket = offer.ticket;
  places_[offer.place].unanswered.push_back(offer);
}

std::optional<TaskNumber> PoolBooks::answered(std::size_t place, std::uint64_t ticket) {
  Place& worker = places_[place];
  if (worker.unanswered.empty() || worker.unanswered.front().ticket != ticket) return std::nullopt;
  const TaskNumber task = worker.unanswered.front().task;
  worker.unanswered.erase(worker.unanswered.begin());
  worker.closed = false;
  ++worker.answers;
  return task;
}

/// The order of beginning may differ from that of the numbers by so many per worker before it is
/// worth a recall while others wait.
bool PoolBooks::overtaken(TaskNumber task) const {
  return waiting_.empty() || *waiting_.begin() > task + 4 * places_.size();
}

/// The last hand-out to a worker, if that may not have been begun; nullptr otherwise.
const PoolBooks::Offer* PoolBooks::recallable(const Place& place) const {
  const std::size_t least = place.ready ? depth : 1;
  if (place.unanswered.size() < least) return nullptr;
  const Offer& last = place.unanswered.back();
  return last.ticket > place.begun && overtaken(last.task) ? &last : nullptr;
}

std::optional<PoolBooks::Offer> PoolBooks::next_recall() const {
  const bool anyone_idle = std::any_of(places_.begin(), places_.end(), [this](const Place& place) {
    return place.ready && may_have_more(place, 1);
  });
  if (!anyone_idle) return std::nullopt;
  const Offer* oldest = nullptr;
  for (const Place& place : places_) {
    const Offer* const offer = recallable(place);
    if (offer != nullptr && (oldest == nullptr || offer->task < oldest->task)) oldest = offer;
  }
  return oldest == nullptr ? std::nullopt : std::optional(*oldest);
}

void PoolBooks::recalled(const Offer& offer) {
  Place& worker = places_[offer.place];
  std::erase(worker.unanswered, offer);
  worker.closed = true;
  waiting_.insert(offer.task);
}

void PoolBooks::too_late(const Offer& offer) {
  places_[offer.place].begun = offer.ticket;
}

}  // namespace forkecho::mp
