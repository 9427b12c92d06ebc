// The parts of an acceptor, put together by a test, in a process of its own that plays the
// acceptor: with every signal blocked, and children that no other test has.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "common/mp/fork.h"
#include "common/mp/fork_onto.h"
#include "server/acceptor_signals.h"
#include "server/children_in_slots.h"
#include "server/connection_child.h"
#include "server/gate.h"
#include "server/process_context.h"
#include "server/shortage.h"
#include "tests/server/serving_process.h"
#include "tests/support/child.h"

namespace forkecho::server {

struct AcceptorParts {
  explicit AcceptorParts(Options given = {}, Blocking blocking = Blocking::no,
                         std::size_t limit = 20)
      : options(std::move(given)),
        listeners(listeners_on({"127.0.0.1:0"}, blocking)),
        pages(2, options),
        slots(limit),
        context{.options = options,
                .listeners = listeners,
                .pages = pages,
                .page_index = 0,
                .peers = 1,
                .supervisor = getppid()},
        child(context),
        gate(context, Accepting::polls, limit),
        children(slots, page(), gate.counts_sources()) {}
  ~AcceptorParts() { children.tell_all(SIGKILL); }

  ProcessPage& page() { return pages[0]; }
  Book& book() { return page().book; }
  const Slot& slot(std::uint32_t index) const { return slots[index]; }
  sys::Descriptor connect() const { return tests::connect_to(listeners[0].address()); }

  /// A child that leaves with `code` at once, in a slot, as if it had been forked for a client.
  std::pair<pid_t, std::uint32_t> enter_child(int code) {
    return enter([](const void*, long with, void*) { _exit(static_cast<int>(with)); }, code);
  }
  /// The same of one that stays until it is killed.
  std::pair<pid_t, std::uint32_t> enter_lasting_child() {
    return enter(
        [](const void*, long, void*) {
          mp::die_with_parent(getppid());
          for (;;) pause();
        },
        0);
  }
  std::pair<pid_t, std::uint32_t> enter(mp::ForkedFunction function, int number) {
    const std::uint32_t index = children.take_slot({}, SlotState::serving);
    alignas(16) static std::array<char, 16 * 1024> stack;
    const pid_t pid =
        mp::fork_onto(stack.data() + stack.size(), function, {.number = number}, ended_signal());
    children.enter(pid, index);
    return {pid, index};
  }

  Options options;
  std::vector<Listener> listeners;
  GenerationPages pages;
  SlotTable slots;
  ProcessContext context;
  ConnectionChild child;
  AcceptorSignals signals;
  Shortage shortage;
  Gate gate;
  ChildrenInSlots children;
};

/// What `body` expects is expected of the test.
template <typename Body>
void in_a_process_of_its_own(Body body) {
  const pid_t pid = tests::start_blocked_child([&] {
    body();
    return testing::Test::HasFailure() ? 1 : 0;
  });
  // Longer than any wait inside, which tells more when it fails.
  const auto exit = mp::reap_before(pid, sys::Deadline::after(std::chrono::seconds(50)));
  EXPECT_TRUE(exit && exit->exitcode == 0);
  if (exit) return;
  kill(pid, SIGKILL);
  tests::exitcode_of(pid);
}

}  // namespace forkecho::server
