// Shutdown: the daemon's way out, in the states that the life cycle gives it (life_cycle.h):
//
//   draining    the doors are closed behind those who wait there; who is in is served to the end
//   finishing   what was received is answered, then each connection is closed
//   ending      everything below is killed
//
// How long the first two may take is its own to watch: it says what happens then, and the
// supervisor, which alone has it, changes the state. Time is the caller's. Not for threads; the
// generations and listeners must outlive it.
#pragma once

#include <optional>
#include <span>

#include "common/sys/deadline.h"
#include "server/closing_doors.h"
#include "server/generations.h"
#include "server/life_cycle.h"
#include "server/listener.h"

namespace forkecho::server {

/// What becomes of the listeners.
enum class DoorsBehind {
  closed,
  left_open,  // somebody else accepts there: this daemon only takes in nobody more
};
/// Left open for the daemon that replaces this one, or that this one was to replace, and for
/// whoever is started next with the service manager's sockets. Pure.
DoorsBehind doors_behind(bool duties_are_ours, Listener::Owner owner);
/// `limit` of zero: none. Pure.
sys::Deadline drain_deadline(sys::Duration limit, sys::Clock::time_point now);

class Shutdown {
 public:
  using Now = sys::Clock::time_point;
  /// What the orderly end of the last connections may take: twice serve_connection.h's bound, and
  /// some.
  static constexpr auto finish_patience = std::chrono::seconds(5);
  /// What daemons that were told to end at once may take for it.
  static constexpr auto dying_patience = std::chrono::seconds(2);

  Shutdown(Generations& generations, std::span<const Listener> listeners)
      : generations_(generations), listeners_(listeners) {}

  /// `doors` may change from one call to the next: the duties may come to this daemon meanwhile.
  void begin_drain(DoorsBehind doors, Now now);
  void begin_finish(DoorsBehind doors, Now now);
  void end_at_once(DoorsBehind doors, Now now);
  /// On every tick in one of the three states. What has happened by now, if anything has.
  std::optional<LifeEvent> keep_going(State state, DoorsBehind doors, Now now);

  /// Nobody waits there any more who could be lost.
  bool doors_are_shut() const { return doors_.empty(); }
  /// Whoever was told to end at once has had the time for it.
  bool has_waited_for_the_dying(Now now) const { return now >= end_deadline_.when(); }

 private:
  void keep_draining(DoorsBehind doors, Now now);
  void keep_finishing(DoorsBehind doors, Now now);

  Generations& generations_;
  std::span<const Listener> listeners_;
  ClosingDoors doors_;
  sys::Deadline drain_deadline_ = sys::Deadline::never();
  sys::Deadline finish_deadline_ = sys::Deadline::never();
  sys::Deadline end_deadline_ = sys::Deadline::never();
};

}  // namespace forkecho::server
