#include "server/slot_table.h"

#include <algorithm>
#include <new>

namespace forkecho::server {

// The kernel's zeros are their values.
SlotTable::SlotTable(std::size_t slots)
    : size_(slots), memory_(slots * sizeof(Slot)), links_(slots + 1) {}

std::span<Slot> SlotTable::all() const {
  return {std::launder(static_cast<Slot*>(memory_.data())), size_};
}

/// What makes it count comes last, so that whoever reads meanwhile, or after a kill in the middle,
/// has every slot with a child behind it.
void SlotTable::use(std::uint32_t slot) {
  const std::uint32_t count = used_count().load(std::memory_order_relaxed);
  used_at(count).store(slot, std::memory_order_relaxed);
  place_of(slot) = count;
  used_count().store(count + 1, std::memory_order_release);
}

void SlotTable::leave(std::uint32_t slot) {
  const std::uint32_t last = used_count().load(std::memory_order_relaxed) - 1;
  const std::uint32_t moved = used_at(last).load(std::memory_order_relaxed);
  used_at(place_of(slot)).store(moved, std::memory_order_release);
  place_of(moved) = place_of(slot);
  used_count().store(last, std::memory_order_release);
}

std::uint32_t SlotTable::used() const {
  return std::min(used_count().load(std::memory_order_acquire), static_cast<std::uint32_t>(size_));
}

std::uint64_t SlotTable::visit_used(std::uint64_t most,
                                    const std::function<void(Slot&)>& visit) const {
  const std::uint32_t count = used();
  std::uint32_t place = 0;
  for (std::uint64_t shown = 0; place < count && shown < most; ++place) {
    const std::uint32_t index = used_at(place).load(std::memory_order_acquire);
    if (index >= size_) continue;
    Slot& slot = all()[index];
    // What is no state at all was written by a process gone wrong.
    const SlotState state = slot.state.load(std::memory_order_acquire);
    if (state != SlotState::serving && state != SlotState::idle) continue;
    visit(slot);
    ++shown;
  }
  return count - place;
}

void SlotTable::keep_from_children() {
  memory_.keep_from_children();
  links_.memory().keep_from_children();
}

}  // namespace forkecho::server
