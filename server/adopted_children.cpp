#include "server/adopted_children.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <unordered_set>
#include <utility>

#include "server/believed_book.h"

namespace forkecho::server {

AdoptedChildren::AdoptedChildren(std::shared_ptr<const Options> options,
                                 std::shared_ptr<GenerationPages> pages)
    : options_(std::move(options)), pages_(std::move(pages)) {}

void AdoptedChildren::adopt(Legacy legacy) {
  families_.push_back({std::move(legacy)});
  Family& family = families_.back();
  std::unordered_set<const Slot*> seen;
  family.slots->visit_used(~std::uint64_t{0}, [&](Slot& slot) {
    // Each once, also where the list of them was being changed.
    if (!seen.insert(&slot).second) return;
    family.slot_of.emplace(slot.pid.load(std::memory_order_relaxed), &slot);
    adopt_source(slot);
  });
  reap_all();
}

bool AdoptedChildren::take_ended(pid_t pid) {
  if (families_.empty()) return false;
  if (take(pid)) return true;
  reap_all();
  const auto next = mp::peek_ended();
  return !next || next->pid != pid;
}

/// By its group, which the kernel tells also of one that has ended: a look through all who have
/// been adopted costs more the more they are.
bool AdoptedChildren::take(pid_t pid) {
  const pid_t group = getpgid(pid);
  const auto found = std::ranges::find(families_, group, &Family::group);
  if (found == families_.end()) return false;
  if (const auto exit = mp::reap_one(pid).exit) on_end(*found, *exit);
  found->unreaped == 0 ? reap_all() : publish();
  return true;
}

void AdoptedChildren::reap_all() {
  std::erase_if(families_, [this](Family& family) { return reap(family); });
  publish();
}

/// True when nobody of it is left.
bool AdoptedChildren::reap(Family& family) {
  for (;;) {
    const mp::Reaped reaped = mp::reap_group(family.group);
    if (reaped.exit) {
      on_end(family, *reaped.exit);
    } else {
      if (reaped.none_left) write_off(family);
      return reaped.none_left;
    }
  }
}

/// What is open still had no process any more when its acceptor died.
void AdoptedChildren::write_off(const Family& family) {
  booked_.crashed += family.open;
  write_lost_connections(family.open, family.slots->all(), AccessRole::child);
  booked_.reaped += family.unreaped;
  for (const auto& [pid, slot] : family.slot_of) {
    if (slot->state.load(std::memory_order_relaxed) != SlotState::free) forget_source(*slot);
  }
}

/// Whom a dead acceptor had forked ahead know of its death, and are told for those who were just
/// about to wait; those who serve do not mind.
void AdoptedChildren::look_after() {
  if (!families_.empty()) reap_all();
  if (has_single_use_workers(*options_)) tell(SIGUSR1);
}

/// A group has members, else reap_all had dropped it: its number is not another's.
void AdoptedChildren::tell(int signal) const {
  for (const Family& family : families_) kill(-family.group, signal);
}

void AdoptedChildren::on_end(Family& family, const mp::Exit& exit) {
  const Ending ending = ending_of_exitcode(exit.exitcode);
  const bool is_booked = exit.pid == family.booked;
  bool said_so = !has_single_use_workers(*options_);
  AccessEntry entry = describe_arrival({}, AccessRole::child, outcome_of(ending));
  if (Slot* slot = slot_of(family, exit.pid)) {
    said_so = said_so || slot->state.load(std::memory_order_acquire) == SlotState::serving;
    entry = describe_connection(*slot, AccessRole::child, outcome_of(ending));
    forget_source(*slot);
    if (!is_booked) {
      booked_.bytes_in += believable_bytes(slot->meter.bytes_in.get());
      booked_.bytes_out += believable_bytes(slot->meter.bytes_out.get());
    }
    slot->state.store(SlotState::free, std::memory_order_relaxed);
    slot->pid.store(0, std::memory_order_relaxed);
  }
  if (!is_booked && had_client(exit.exitcode, said_so)) book(family, ending, entry);
  if (family.unreaped > 0) {
    --family.unreaped;
    ++booked_.reaped;
  }
}

/// By the note of the adoption; whoever was just being forked then has said since where it serves.
Slot* AdoptedChildren::slot_of(const Family& family, pid_t pid) {
  const auto is_of = [pid](const Slot& slot) {
    return slot.pid.load(std::memory_order_relaxed) == pid;
  };
  const auto noted = family.slot_of.find(pid);
  if (noted != family.slot_of.end() && is_of(*noted->second)) return noted->second;
  const auto all = family.slots->all();
  const auto found = std::find_if(all.begin(), all.end(), is_of);
  return found == all.end() ? nullptr : &*found;
}

void AdoptedChildren::book(Family& family, Ending ending, const AccessEntry& entry) {
  // Forked ahead, it took its client after its acceptor's last look.
  if (family.open == 0 && has_single_use_workers(*options_)) {
    ++booked_.accepted;
    ++family.open;
  }
  if (family.open == 0) return;
  --family.open;
  booked_.add_ending(ending);
  write_access_line(entry);
}

/// Others see in the supervisor's page what no living acceptor's page shows.
void AdoptedChildren::publish() {
  std::uint64_t open = 0;
  for (const Family& family : families_) open += family.open;
  pages_->all().back().book.accepted.set(open);
}

void AdoptedChildren::adopt_source(const Slot& slot) {
  auto& sources = pages_->admission.sources;
  if (!sources) return;
  const Source source = counted_source(slot.peer, options_->admission.exempt);
  if (source != Source::uncounted) sources->table(sources->size() - 1).add(source);
}

void AdoptedChildren::forget_source(const Slot& slot) {
  auto& sources = pages_->admission.sources;
  if (sources)
    sources->table(sources->size() - 1)
        .remove(counted_source(slot.peer, options_->admission.exempt));
}

std::uint64_t AdoptedChildren::visit_slots(std::uint64_t most,
                                           const std::function<void(const Slot&)>& visit) const {
  std::uint64_t left = most;
  std::uint64_t omitted = 0;
  for (const Family& family : families_) {
    std::uint64_t shown = 0;
    const std::uint64_t rest = family.slots->visit_used(left, [&](const Slot& slot) {
      ++shown;
      visit(slot);
    });
    left -= shown;
    // Their list is nobody's to change any more: those who have ended since are still in it.
    omitted += std::min(rest, family.unreaped - std::min(shown, family.unreaped));
  }
  return omitted;
}

}  // namespace forkecho::server
