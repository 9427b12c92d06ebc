// ChildrenInSlots: the children of one acceptor, each shown in a slot of the status page from just
// before its fork until it is booked.
//
//   index = take_slot(...)     then fork, the child with slot(index)
//   enter(pid, index)          it was forked; or, as it was not: leave(index)
//   remove(pid), leave(index)  it has ended
//
// Which child has which slot is known from a table that no child has (child_table.h), never from
// the slots, where children write. The acceptor's own: not shared, not for threads. Nothing fails
// but the making.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "common/mp/raw_shared.h"
#include "common/sys/deadline.h"
#include "server/child_table.h"
#include "server/ended_children.h"
#include "server/scoreboard.h"
#include "server/slot_table.h"
#include "server/source.h"

namespace forkecho::server {

class ChildrenInSlots {
 public:
  /// As many as there are slots. `page`: the acceptor's, in which forks are booked.
  /// `keeps_sources`: leave() gives back what take_slot() was given. Throws std::system_error.
  ChildrenInSlots(SlotTable& slots, ProcessPage& page, bool keeps_sources);

  std::uint32_t size() const { return table_.size(); }
  /// The most that there may be.
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(slots_.size()); }
  std::span<const Slot> slots() const { return slots_.all(); }
  Slot& slot(std::uint32_t index) const { return slots_[index]; }
  /// When the slot got its state: for a child that serves whom it was forked for, and to its fork,
  /// when it was taken.
  sys::Clock::time_point entered(std::uint32_t index) const;

  /// For a child about to be forked for `peer`, or for whoever comes. Precondition: there are fewer
  /// children than slots.
  std::uint32_t take_slot(const PeerAddress& peer, SlotState state,
                          Source source = Source::uncounted);
  /// It was forked; returns how long that took since take_slot.
  sys::Duration enter(pid_t pid, std::uint32_t index);
  /// Forgets `pid` and returns its slot, to be given back by leave; empty when it is no child of
  /// ours, or was removed already.
  std::optional<std::uint32_t> remove(pid_t pid) { return table_.remove(pid); }
  /// The slot is free; what its client was counted by.
  Source leave(std::uint32_t index);

  /// A child has written where it should not have: who serves is shown again as our own table has
  /// it.
  void repair(const std::function<bool(pid_t)>& is_idle);
  /// Sends signal `number` to all.
  void tell_all(int number) const;

  /// Told here of each that was made; of what else happens, by the caller.
  LooksAtAll& looks() { return looks_; }
  /// When to look at all; never when there are none.
  sys::Deadline next_look() const { return size() > 0 ? looks_.next() : sys::Deadline::never(); }

 private:
  SlotTable& slots_;
  ProcessPage& page_;
  ChildTable table_;
  std::optional<mp::RawArray<Source>> sources_;  // by slot; private, as the table is
  LooksAtAll looks_;
};

}  // namespace forkecho::server
