#include "server/life_cycle.h"

namespace forkecho::server {

State next_state(State state, LifeEvent event) {
  switch (event) {
    case LifeEvent::ready:
      return state == State::starting ? State::running : state;
    case LifeEvent::stop:
      // The first drains; a second one means that somebody has lost patience.
      return state < State::draining ? State::draining : State::ending;
    case LifeEvent::quit:
      return State::ending;
    case LifeEvent::drain_timeout:
      return state == State::draining ? State::finishing : state;
    case LifeEvent::finish_timeout:
      return state == State::finishing ? State::ending : state;
  }
  return state;
}

std::string_view to_string(State state) {
  switch (state) {
    case State::starting:
      return "starting";
    case State::running:
      return "running";
    case State::draining:
      return "draining";
    case State::finishing:
      return "finishing";
    case State::ending:
      return "ending";
  }
  return "";
}

}  // namespace forkecho::server
