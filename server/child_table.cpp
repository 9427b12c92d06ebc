#include "server/child_table.h"

#include <algorithm>
#include <bit>

namespace forkecho::server {

ChildTable::ChildTable(std::uint32_t capacity)
    : mask_(std::max(std::bit_ceil(capacity * 2), 2U) - 1),
      shift_(static_cast<unsigned>(std::countl_zero(mask_))),
      entries_(mask_ + std::size_t{1}),
      free_slots_(capacity) {
  entries_.memory().keep_from_children();
  free_slots_.memory().keep_from_children();
}

std::uint32_t ChildTable::take_slot() {
  return free_count_ > 0 ? free_slots_[--free_count_] : fresh_++;
}

void ChildTable::give_back(std::uint32_t slot) {
  free_slots_[free_count_++] = slot;
}

std::uint32_t ChildTable::find(pid_t pid) const {
  std::uint32_t index = home(pid);
  while (entries_[index].pid != 0 && entries_[index].pid != pid) index = next(index);
  return index;
}

void ChildTable::insert(pid_t pid, std::uint32_t slot) {
  entries_[find(pid)] = {.pid = pid, .slot = slot};
  ++size_;
}

std::optional<std::uint32_t> ChildTable::remove(pid_t pid) {
  const std::uint32_t index = find(pid);
  if (entries_[index].pid == 0) return std::nullopt;
  const std::uint32_t slot = entries_[index].slot;
  close_gap(index);
  --size_;
  return slot;
}

/// Knuth, The Art of Computer Programming, vol. 3, 6.4, algorithm R: moves later entries of the run
/// into the gap unless that would place them before their home.
void ChildTable::close_gap(std::uint32_t gap) {
  for (std::uint32_t index = next(gap); entries_[index].pid != 0; index = next(index)) {
    const std::uint32_t distance_from_home = (index - home(entries_[index].pid)) & mask_;
    const std::uint32_t distance_from_gap = (index - gap) & mask_;
    if (distance_from_home < distance_from_gap) continue;
    entries_[gap] = entries_[index];
    gap = index;
  }
  entries_[gap].pid = 0;
}

void ChildTable::for_each_pid(const std::function<void(pid_t)>& visit) const {
  for_each([&](pid_t pid, std::uint32_t) { visit(pid); });
}

void ChildTable::for_each(const std::function<void(pid_t, std::uint32_t)>& visit) const {
  for (const Entry& entry : entries_.all()) {
    if (entry.pid != 0) visit(entry.pid, entry.slot);
  }
}

}  // namespace forkecho::server
