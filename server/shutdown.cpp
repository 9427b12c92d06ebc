#include "server/shutdown.h"

#include <csignal>

#include "common/log/log.h"

namespace forkecho::server {

DoorsBehind doors_behind(bool duties_are_ours, Listener::Owner owner) {
  return duties_are_ours && owner == Listener::Owner::daemon ? DoorsBehind::closed
                                                             : DoorsBehind::left_open;
}

sys::Deadline drain_deadline(sys::Duration limit, sys::Clock::time_point now) {
  if (limit == sys::Duration::zero()) return sys::Deadline::never();
  return limit >= sys::Clock::time_point::max() - now ? sys::Deadline::never()
                                                      : sys::Deadline::at(now + limit);
}

void Shutdown::begin_drain(DoorsBehind doors, Now now) {
  const sys::Duration limit = generations_.options().timeouts.drain;
  log::info("draining: {} connections are open, the limit is {} s", generations_.totals().active(),
            std::chrono::duration<double>(limit).count());
  drain_deadline_ = drain_deadline(limit, now);
  if (doors == DoorsBehind::left_open) return generations_.retire_all();
  // The door first: whoever is told to drain afterwards may take an empty queue for the end of it.
  for (const Listener& listener : listeners_) doors_.close(listener, now);
  generations_.tell(SIGTERM, 0);
}

void Shutdown::begin_finish(DoorsBehind doors, Now now) {
  log::warning(
      "the drain timeout has passed with {} connections open: they are answered and closed",
      generations_.totals().active());
  finish_deadline_ = sys::Deadline::at(now + finish_patience);
  keep_finishing(doors, now);
}

void Shutdown::end_at_once(DoorsBehind doors, Now now) {
  end_deadline_ = sys::Deadline::at(now + dying_patience);
  log::warning("ending at once with {} connections open", generations_.totals().active());
  if (doors == DoorsBehind::closed)
    for (const Listener& listener : listeners_) listener.stop_listening();
  generations_.kill_all();
}

std::optional<LifeEvent> Shutdown::keep_going(State state, DoorsBehind doors, Now now) {
  switch (state) {
    case State::starting:
    case State::running:
      break;
    case State::draining:
      keep_draining(doors, now);
      if (now >= drain_deadline_.when()) return LifeEvent::drain_timeout;
      break;
    case State::finishing:
      keep_finishing(doors, now);
      if (now >= finish_deadline_.when()) return LifeEvent::finish_timeout;
      break;
    case State::ending:
      generations_.kill_all();
      break;
  }
  return std::nullopt;
}

void Shutdown::keep_draining(DoorsBehind doors, Now now) {
  if (doors == DoorsBehind::left_open) return generations_.maintain();
  generations_.tell(SIGTERM, 0);  // again: the first may have come between a check and a wait
  doors_.watch(now);
  generations_.maintain_drain();
}

void Shutdown::keep_finishing(DoorsBehind doors, Now now) {
  generations_.tell(SIGUSR2, SIGTERM);
  if (doors == DoorsBehind::left_open) return generations_.maintain();
  doors_.watch(now);
  generations_.maintain_drain();
}

}  // namespace forkecho::server
