#include "server/ended_children.h"

#include <algorithm>

namespace forkecho::server {
namespace {

/// Looks at all go on so long where each finds somebody: of many who end at once the first is near.
constexpr sys::Duration longest_look = std::chrono::milliseconds(1);

}  // namespace

void EndedChildren::signalled(pid_t pid) {
  heard_ = true;
  if (!owed_) due_ = sys::Deadline::after(unnoticed);
  owed_ = true;
  while (const pid_t late = not_yet_.take()) hints_.add(late);
  if (pid > 0) hints_.add(pid);
}

sys::Deadline EndedChildren::look_again() const {
  if (!owed_) return sys::Deadline::never();
  return sys::Deadline::at(std::max(due_.when(), rest_until_.when()));
}

std::optional<mp::Exit> EndedChildren::next(std::uint32_t children) {
  if (!heard_ && !look_again().passed()) return std::nullopt;
  if (children <= few) {
    const auto ended = mp::peek_ended();
    hints_.clear();
    if (!ended) heard_ = owed_ = false;
    return ended;
  }
  take_notes();
  if (const auto ended = follow_hints()) return ended;
  if (const auto ended = look_at_all()) return ended;
  heard_ = false;
  return std::nullopt;
}

void EndedChildren::take_notes() {
  const std::uint32_t written = notes_.next.load(std::memory_order_acquire);
  if (written - notes_read_ > EndedNotes::places) notes_read_ = written - EndedNotes::places;
  for (; notes_read_ != written; ++notes_read_) {
    auto& note = notes_.pids[notes_read_ % EndedNotes::places];
    if (const pid_t pid = note.exchange(0, std::memory_order_acquire); pid > 0) hints_.add(pid);
  }
}

std::optional<mp::Exit> EndedChildren::follow_hints() {
  while (const pid_t pid = hints_.take()) {
    const mp::Reaped seen = mp::peek_one(pid);
    if (seen.exit) {
      // Of those who are killed, few are alone.
      if (seen.exit->exitcode < 0) due_ = sys::Deadline::immediately();
      return seen.exit;
    }
    if (!seen.none_left) not_yet_.add(pid);
  }
  return std::nullopt;
}

std::optional<mp::Exit> EndedChildren::look_at_all() {
  if (!look_again().passed()) return std::nullopt;
  const auto begun = sys::Clock::now();
  const auto ended = mp::peek_ended();
  spent_ += sys::Clock::now() - begun;
  owed_ = ended.has_value();
  due_ = sys::Deadline::immediately();
  if (ended && spent_ < longest_look) return ended;
  rest_until_ = sys::Deadline::after(share * spent_);
  spent_ = sys::Duration::zero();
  return ended;
}

}  // namespace forkecho::server
