#include "server/life_cycle.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace forkecho::server {
namespace {

constexpr std::array states{State::starting, State::running, State::draining, State::finishing,
                            State::ending};

TEST(LifeCycle, EveryStateAndEvent) {
  struct Row {
    LifeEvent event;
    std::array<State, 5> next;  // from starting, running, draining, finishing, ending
  };
  using enum State;
  for (const Row& row : {
           Row{LifeEvent::ready, {running, running, draining, finishing, ending}},
           Row{LifeEvent::stop, {draining, draining, ending, ending, ending}},
           Row{LifeEvent::quit, {ending, ending, ending, ending, ending}},
           Row{LifeEvent::drain_timeout, {starting, running, finishing, finishing, ending}},
           Row{LifeEvent::finish_timeout, {starting, running, draining, ending, ending}},
       }) {
    for (std::size_t i = 0; i < states.size(); ++i) {
      EXPECT_EQ(next_state(states[i], row.event), row.next[i])
          << to_string(states[i]) << ", event " << static_cast<int>(row.event);
    }
  }
}

TEST(LifeCycle, StatesHaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const State state : states) names.insert(to_string(state));
  EXPECT_EQ(names,
            (std::set<std::string_view>{"starting", "running", "draining", "finishing", "ending"}));
}

}  // namespace
}  // namespace forkecho::server
