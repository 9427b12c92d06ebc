// SlotTable: the slots of one acceptor or event worker (scoreboard.h), which of an acceptor's are
// in use, and the notes of its children that they are about to end.
//
// Made by the supervisor before it forks the process; that process alone takes and leaves slots.
// Its children have the slots and the notes, and not the list of those in use. The supervisor reads
// all of it at any moment, without a lock: what is shown may be a moment old, and nothing that a
// process gone wrong has written leads beyond the table.
//
// A look at `most` of the slots in use costs no more where there are many, and neither does taking
// or leaving one. Memory that was never touched costs nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "common/mp/raw_shared.h"
#include "server/scoreboard.h"

namespace forkecho::server {

/// Which children are about to end, for their acceptor: a list through their slots, the last who
/// came first, so that there is room for all of them at once. Any child writes to it, in memory
/// that all of them can scribble over: hints, no more (ended_children.h). A page, so that whoever
/// says nothing touches nothing.
///
/// A slot is in it once at most, if the acceptor takes the list after it has reaped and before it
/// gives the slot to another; else others in it may be lost.
struct alignas(4096) EndedNotes {
  std::atomic<std::uint32_t> last;  // slots are counted from 1; 0: none

  /// A child's, of its own slot. One that is killed in the middle has said nothing.
  void add(Slot& slot);
  /// The acceptor's: what `last` was, which is 0 now.
  std::uint32_t take() {
    if (last.load(std::memory_order_relaxed) == 0) return 0;
    return last.exchange(0, std::memory_order_acquire);
  }
};

class SlotTable {
 public:
  /// At least 1. Throws std::system_error.
  explicit SlotTable(std::size_t slots);

  std::size_t size() const { return size_; }
  Slot& operator[](std::size_t index) const { return all()[index]; }
  std::span<Slot> all() const;
  EndedNotes& ended() const;
  /// Takes the list of those who are about to end, and calls `visit` with their pids, the last
  /// first. Nonsense in it leads to nothing but wrong pids, at most size() of them.
  template <typename Visit>
  void take_ended(Visit&& visit) const {
    std::uint32_t at = ended().take();
    for (std::size_t left = size_; at != 0 && at <= size_ && left > 0; --left) {
      const Slot& slot = (*this)[at - 1];
      at = slot.ended_before.load(std::memory_order_relaxed);
      visit(slot.pid.load(std::memory_order_relaxed));
    }
  }

  /// The owner's. `slot` is in use from now on; it was not before.
  void use(std::uint32_t slot);
  /// The owner's. It is not any more.
  void leave(std::uint32_t slot);
  std::uint32_t used() const;
  /// Calls `visit` for at most `most` slots in use, those that say they are free left out, and
  /// returns how many more are in use.
  std::uint64_t visit_used(std::uint64_t most, const std::function<void(Slot&)>& visit) const;

  /// The list as it lies in memory, for tests that scribble over it: how many are in use, and in
  /// every second word after that the next of them.
  std::span<std::uint32_t> words() const { return {&links_[0].used, 2 * links_.size()}; }

  /// Children forked from now on have nothing of it.
  void keep_from_children();
  /// Children forked from now on do not have the list of those in use.
  void keep_list_from_children() { links_.memory().keep_from_children(); }

 private:
  /// Of two lists in one: the slots in use, in no order, and where each of them stands there. The
  /// first has how many there are.
  struct Link {
    std::uint32_t used;
    std::uint32_t place;
  };
  using Word = std::atomic_ref<std::uint32_t>;
  Word used_count() const { return Word(links_[0].used); }
  Word used_at(std::size_t place) const { return Word(links_[place + 1].used); }
  std::uint32_t& place_of(std::size_t slot) const { return links_[slot + 1].place; }

  std::size_t size_;
  mp::SharedMemory memory_;  // the notes, and behind them the slots
  mp::RawArray<Link> links_;
};

/// In the header, so that it is part of what a child runs.
inline void EndedNotes::add(Slot& slot) {
  const auto* const first = reinterpret_cast<const Slot*>(this + 1);  // as SlotTable lays them out
  const auto number = static_cast<std::uint32_t>(&slot - first) + 1;
  std::uint32_t before = last.load(std::memory_order_relaxed);
  do {
    slot.ended_before.store(before, std::memory_order_relaxed);
  } while (!last.compare_exchange_weak(before, number, std::memory_order_release,
                                       std::memory_order_relaxed));
}

}  // namespace forkecho::server
