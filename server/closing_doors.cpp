#include "server/closing_doors.h"

#include <algorithm>

namespace forkecho::server {

void ClosingDoors::close(const Listener& listener, sys::Clock::time_point now) {
  listener.begin_drain();
  listener.set_nonblocking();
  doors_.push_back(&listener);
  last_waiting_ = now;
}

void ClosingDoors::watch(sys::Clock::time_point now) {
  if (std::ranges::any_of(doors_, [](const Listener* door) { return door->has_waiting_client(); }))
    last_waiting_ = now;
  if (now - last_waiting_ < patience) return;
  for (const Listener* door : doors_) door->stop_listening();
  doors_.clear();
}

}  // namespace forkecho::server
