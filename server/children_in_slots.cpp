#include "server/children_in_slots.h"

#include <csignal>

namespace forkecho::server {

ChildrenInSlots::ChildrenInSlots(SlotTable& slots, ProcessPage& page, bool keeps_sources)
    : slots_(slots), page_(page), table_(static_cast<std::uint32_t>(slots.size())) {
  if (keeps_sources) sources_.emplace(slots.size()).memory().keep_from_children();
  slots_.keep_list_from_children();
}

sys::Clock::time_point ChildrenInSlots::entered(std::uint32_t index) const {
  return sys::Clock::time_point(
      sys::Duration(slots_[index].since_ns.load(std::memory_order_relaxed)));
}

std::uint32_t ChildrenInSlots::take_slot(const PeerAddress& peer, SlotState state, Source source) {
  const std::uint32_t index = table_.take_slot();
  slots_.use(index);
  Slot& slot = slots_[index];
  slot.peer = peer;
  slot.meter.bytes_in.set(0);
  slot.meter.bytes_out.set(0);
  slot.connections.set(state == SlotState::serving ? 1 : 0);
  slot.enter(state);
  if (sources_) (*sources_)[index] = source;
  return index;
}

sys::Duration ChildrenInSlots::enter(pid_t pid, std::uint32_t index) {
  const sys::Duration took = sys::Clock::now() - entered(index);
  page_.book.forked.add(1);
  looks_.something_happened();
  slots_[index].pid.store(pid, std::memory_order_relaxed);
  table_.insert(pid, index);
  page_.fork_times.record(took);
  return took;
}

Source ChildrenInSlots::leave(std::uint32_t index) {
  slots_[index].state.store(SlotState::free, std::memory_order_relaxed);
  slots_[index].pid.store(0, std::memory_order_relaxed);
  slots_.leave(index);
  table_.give_back(index);
  return sources_ ? (*sources_)[index] : Source::uncounted;
}

void ChildrenInSlots::repair(const std::function<bool(pid_t)>& is_idle) {
  for (Slot& slot : slots_.all()) {
    if (slot.state.load(std::memory_order_relaxed) != SlotState::free)
      slot.state.store(SlotState::free, std::memory_order_relaxed);
  }
  table_.for_each([&](pid_t pid, std::uint32_t index) {
    slots_[index].pid.store(pid, std::memory_order_relaxed);
    slots_[index].state.store(is_idle(pid) ? SlotState::idle : SlotState::serving,
                              std::memory_order_relaxed);
  });
}

void ChildrenInSlots::tell_all(int number) const {
  // Each is an unreaped child of ours, so its pid cannot be another's.
  table_.for_each_pid([number](pid_t pid) { kill(pid, number); });
}

}  // namespace forkecho::server
