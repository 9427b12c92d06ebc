#include "server/ended_children.h"

#include <algorithm>

namespace forkecho::server {
namespace {

/// Looks at all go on where each finds somebody, until so much was wasted: of many who are killed
/// at once the first is near.
constexpr sys::Duration most_wasted = std::chrono::milliseconds(1);

}  // namespace

void EndedChildren::signalled(pid_t pid) {
  heard_ = true;
  if (!owed_) due_ = sys::Deadline::after(unnoticed);
  owed_ = true;
  while (const pid_t late = not_yet_.take()) hints_.add(late);
  hints_.add(pid);
}

sys::Deadline EndedChildren::look_again() const {
  if (heard_) return sys::Deadline::immediately();
  return all_are_due();
}

sys::Deadline EndedChildren::all_are_due() const {
  if (!owed_) return sys::Deadline::never();
  return sys::Deadline::at(std::max(due_.when(), rest_until_.when()));
}

std::optional<mp::Exit> EndedChildren::next(std::uint32_t children) {
  if (!look_again().passed()) return std::nullopt;
  take_notes();
  if (children <= few) {
    const auto ended = mp::peek_ended();
    hints_.clear();
    if (!ended) heard_ = owed_ = false;
    return ended;
  }
  if (const auto ended = follow_hints()) return ended;
  if (const auto ended = look_at_all()) return ended;
  heard_ = false;
  return std::nullopt;
}

void EndedChildren::take_notes() {
  slots_.take_ended([this](pid_t pid) { hints_.add(pid); });
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
  if (!all_are_due().passed()) return std::nullopt;
  const auto begun = sys::Clock::now();
  const auto ended = mp::peek_ended();
  const sys::Duration took = sys::Clock::now() - begun;
  wasted_ += ended ? std::max<sys::Duration>(took - worth, sys::Duration::zero()) : took;
  owed_ = ended.has_value();
  due_ = sys::Deadline::immediately();
  if (ended && wasted_ < most_wasted) return ended;
  rest_until_ = sys::Deadline::after(share * wasted_);
  wasted_ = sys::Duration::zero();
  return ended;
}

}  // namespace forkecho::server
