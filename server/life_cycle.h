// The daemon's life as one state machine: what state follows on what event. The supervisor acts on
// the changes; the order of the states is the order of their urgency.
#pragma once

#include <string_view>

namespace forkecho::server {

enum class State {
  starting,   // not ready yet
  running,    // accepting
  draining,   // no new clients; those that are in are served until they end
  finishing,  // the drain timeout has passed: what was received is answered, then each is closed
  ending,     // at once: everything below is killed
};

enum class LifeEvent {
  ready,
  stop,  // TERM, the first INT, or `forkechod stop`
  quit,  // QUIT, or `forkechod stop --now`
  drain_timeout,
  finish_timeout,  // finishing took longer than its bound
};

State next_state(State state, LifeEvent event);
std::string_view to_string(State state);

}  // namespace forkecho::server
