// SlotTable: the slots of one acceptor or event worker (scoreboard.h), and which of an acceptor's
// are in use.
//
// Made by the supervisor before it forks the process; that process alone takes and leaves slots.
// Its children have the slots, and not the list of those in use. The supervisor reads all of it at
// any moment, without a lock: what is shown may be a moment old, and nothing that a process gone
// wrong has written leads beyond the table.
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

class SlotTable {
 public:
  /// At least 1. Throws std::system_error.
  explicit SlotTable(std::size_t slots);

  std::size_t size() const { return size_; }
  Slot& operator[](std::size_t index) const { return all()[index]; }
  std::span<Slot> all() const;

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
  mp::SharedMemory memory_;  // the slots
  mp::RawArray<Link> links_;
};

}  // namespace forkecho::server
