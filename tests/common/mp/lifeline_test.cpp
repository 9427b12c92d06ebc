#include "common/mp/lifeline.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "common/mp/fork.h"
#include "tests/support/child.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

/// Ends `holder`'s end of the line in one way or another, with a child bound to it that runs
/// `life`: whether the child ended soon.
template <typename Life, typename EndOfHolder>
bool child_ends_with_its_holder(Life life, EndOfHolder end_of_holder) {
  tests::Pipe alive;
  Gate bound;
  const pid_t parent = tests::start_child([&] {
    Lifeline line;
    tests::start_blocked_child([&] {
      line.bind();
      bound.open();
      return life();
    });
    const sys::Descriptor held = line.hold();
    alive.write.reset();
    if (!bound.pass()) return 1;
    return end_of_holder();
  });
  alive.write.reset();
  EXPECT_TRUE(bound.pass());
  EXPECT_TRUE(tests::exitcode_of(parent));
  return tests::readable(alive.read.get());
}

int live_on() {
  for (;;) pause();
}
int end_by_kill() {
  return kill(getpid(), SIGKILL);
}

TEST(Lifeline, EndsTheChildOfAKilledParentWithEverySignalBlocked) {
  EXPECT_TRUE(child_ends_with_its_holder(live_on, end_by_kill));
}

TEST(Lifeline, EndsTheChildOfAParentThatEnds) {
  EXPECT_TRUE(child_ends_with_its_holder(live_on, [] { return 0; }));
}

TEST(Lifeline, HoldsAcrossAnExec) {
  EXPECT_TRUE(child_ends_with_its_holder(
      [] {
        execl("/bin/sleep", "sleep", "60", nullptr);
        return 1;
      },
      end_by_kill));
}

TEST(Lifeline, BindingToOneThatEndedIsTheEnd) {
  std::optional<Lifeline> line(std::in_place);
  Gate gone;
  const pid_t child = tests::start_child([&] {
    if (!gone.pass()) return 1;
    line->bind();
    return 2;
  });
  line.reset();
  gone.open();
  EXPECT_EQ(tests::exitcode_of(child), orphaned);
}

TEST(Lifeline, HasNoStandardDescriptors) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              close(STDIN_FILENO);
              close(STDOUT_FILENO);
              Lifeline line;
              const pid_t child = tests::start_child([&] {
                line.bind();
                return Lifeline::of_this_process() > STDERR_FILENO ? 0 : 1;
              });
              const sys::Descriptor held = line.hold();
              if (held.get() <= STDERR_FILENO) return 1;
              return tests::exitcode_of(child) == 0 ? 0 : 2;
            }),
            0);
}

TEST(Lifeline, ALivingParentIsNoReasonToEnd) {
  Lifeline line;
  Gate over;
  const pid_t child = tests::start_child([&] {
    line.bind();
    return over.pass() ? 7 : 1;
  });
  const sys::Descriptor held = line.hold();
  over.open();
  EXPECT_EQ(tests::exitcode_of(child), 7);
}

}  // namespace
}  // namespace forkecho::mp
