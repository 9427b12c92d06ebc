// Reaper: takes leave of an acceptor's children: each that has ended is booked, reaped, and its
// slot and its place given back.
//
// Of most a signal told (acceptor_signals.h). For the others all children are looked at now and
// then (ended_children.h). The acceptor calls reap_all in every turn of its loop; that takes a
// bounded time, and never waits.
//
// A child is booked before it is reaped, and noted until it is both (scoreboard.h, Reaping): what
// it came to is not lost if the acceptor is killed in between. Not for threads.
#pragma once

#include "common/mp/reap.h"
#include "common/sys/deadline.h"
#include "server/acceptor_signals.h"
#include "server/children_in_slots.h"
#include "server/gate.h"
#include "server/listener.h"
#include "server/scoreboard.h"
#include "server/spare_keeper.h"

namespace forkecho::server {

class Reaper {
 public:
  /// So often in a turn, more than any number of listeners can bring in one: whoever has ended
  /// holds a place until then.
  static constexpr int batches = 2 * static_cast<int>(max_listeners);
  /// How many may be found that nobody told of before clients are looked for again.
  static constexpr int looks_at_once = 16;

  /// `page`: the acceptor's. `spares`: null where no workers are forked ahead.
  Reaper(ProcessPage& page, AcceptorSignals& signals, ChildrenInSlots& children, Gate& gate,
         SpareKeeper* spares)
      : page_(page), signals_(signals), children_(children), gate_(gate), spares_(spares) {}

  /// `read()` is signals.read() with what is to be done about the other signals.
  template <typename Read>
  void reap_all(Read read) {
    reap_told();
    for (int i = 1; i < batches && signals_.more(); ++i) {
      read();
      reap_told();
    }
    for (int i = 0; i < looks_at_once && children_.next_look().passed(); ++i) look_at_all(read);
  }

 private:
  /// For one that no signal told of. The kernel sends it before anybody can see that the child has
  /// ended; so it is here, or lost, once such a child is seen.
  template <typename Read>
  void look_at_all(Read read) {
    const auto begun = sys::Clock::now();
    const auto seen = mp::peek_ended();
    if (seen) {
      do {
        reap_told();
      } while (read());
      reap_told();
      if (const auto untold = mp::peek_one(seen->pid).exit) reap(*untold);
    }
    children_.looks().looked(seen.has_value(), sys::Clock::now() - begun);
  }

  void reap_told();
  void reap(const mp::Exit& ended);
  void account_for(const mp::Exit& exit);
  void repair_slots();
  void book_connection(const Slot& slot, const mp::Exit& exit);

  ProcessPage& page_;
  AcceptorSignals& signals_;
  ChildrenInSlots& children_;
  Gate& gate_;
  SpareKeeper* const spares_;
};

}  // namespace forkecho::server
