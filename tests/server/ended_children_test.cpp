#include "server/ended_children.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t many = 10 * EndedChildren::few;

class EndedChildrenTest : public testing::Test {
 protected:
  ~EndedChildrenTest() override {
    for (const pid_t pid : alive_) {
      kill(pid, SIGKILL);
      tests::exitcode_of(pid);
    }
  }
  pid_t start() {
    const pid_t pid = tests::start_child([] {
      pause();
      return 0;
    });
    alive_.insert(pid);
    return pid;
  }
  /// Ended, and unreaped.
  void end(pid_t pid, int signal = SIGKILL) {
    kill(pid, signal);
    ASSERT_TRUE(tests::eventually(tests::patience(), [&] { return tests::state_of(pid) == 'Z'; }));
  }
  pid_t ended(int exitcode = 0) {
    const pid_t pid = tests::start_child([=] { return exitcode; });
    alive_.insert(pid);
    EXPECT_TRUE(tests::eventually(tests::patience(), [&] { return tests::state_of(pid) == 'Z'; }));
    return pid;
  }
  /// Found and reaped; 0: nobody.
  pid_t next(std::uint32_t children = many) {
    const auto found = children_.next(children);
    if (!found) return 0;
    EXPECT_TRUE(mp::reap_one(found->pid).exit);
    alive_.erase(found->pid);
    return found->pid;
  }
  /// At the time that it says itself; as if no signal had come meanwhile.
  pid_t next_in_time() {
    EXPECT_FALSE(children_.look_again().is_never());
    EXPECT_TRUE(
        tests::eventually(tests::patience(), [&] { return children_.look_again().passed(); }));
    return next();
  }

  /// As a child does in its slot.
  void note(pid_t pid) {
    Slot& slot = slots_[next_slot_++ % slots_.size()];
    slot.pid = pid;
    slots_.ended().add(slot);
  }

  SlotTable slots_{3 * EndedChildren::few};
  EndedChildren children_{slots_};
  std::size_t next_slot_ = 0;
  std::set<pid_t> alive_;
};

TEST_F(EndedChildrenTest, OfFewAllAreLookedAt) {
  start();
  const std::set<pid_t> over{ended(), ended()};
  EXPECT_EQ(next(3), 0) << "nobody has heard of any";
  children_.signalled(*over.begin());
  EXPECT_EQ((std::set<pid_t>{next(3), next(2)}), over);
  EXPECT_EQ(next(1), 0);
  EXPECT_TRUE(children_.look_again().is_never());
}

TEST_F(EndedChildrenTest, OfManyThoseAreFoundWhoWereNamed) {
  const pid_t first = ended();
  const pid_t second = ended();
  start();
  note(second);
  children_.signalled(first);
  EXPECT_EQ((std::set<pid_t>{next(), next()}), (std::set<pid_t>{first, second}));
  EXPECT_EQ(next(), 0);
}

TEST_F(EndedChildrenTest, WhoNotesItsEndIsAskedAgainUntilItHasEnded) {
  const pid_t child = start();
  note(child);
  children_.signalled(0);
  EXPECT_EQ(next(), 0) << "on its way out";
  end(child, SIGTERM);
  children_.signalled(0);
  EXPECT_EQ(next(), child);
}

TEST_F(EndedChildrenTest, NonsenseIsNotBelieved) {
  const pid_t child = ended();
  for (const pid_t pid : {getpid(), 1, -1, 0, 0x7fffffff}) note(pid);
  note(child);
  children_.signalled(getpid());
  EXPECT_EQ(next(), child);
  EXPECT_EQ(next(), 0);
}

TEST_F(EndedChildrenTest, AListThatLeadsOutOfTheTableEnds) {
  const pid_t child = ended();
  slots_.ended().last = 0xF0000000;
  note(child);
  children_.signalled(0);
  EXPECT_EQ(next(), child);
  EXPECT_EQ(next(), 0);
}

TEST_F(EndedChildrenTest, AListThatRunsInACircleEnds) {
  const pid_t child = ended();
  note(1);
  note(child);
  slots_[0].ended_before = 2;
  children_.signalled(0);
  EXPECT_EQ(next(), child);
  EXPECT_EQ(next(), 0);
}

TEST_F(EndedChildrenTest, WhoWasNotNamedIsFoundInAWhile) {
  const pid_t unnoticed = ended();
  children_.signalled(0);
  EXPECT_EQ(next(), 0);
  EXPECT_EQ(next_in_time(), unnoticed);
  EXPECT_EQ(next(), 0);
  EXPECT_TRUE(children_.look_again().is_never());
}

TEST_F(EndedChildrenTest, BesideOneThatWasKilledTheOthersAreFoundAtOnce) {
  const pid_t named = start();
  const pid_t unnoticed = ended();
  end(named);
  children_.signalled(named);
  EXPECT_EQ(next(), named);
  EXPECT_EQ(next(), unnoticed);
}

TEST_F(EndedChildrenTest, AllThatThereIsRoomForMayEndAtOnce) {
  std::set<pid_t> over{ended(), ended()};
  note(*over.begin());
  while (next_slot_ < slots_.size() - 1) note(getpid());
  note(*over.rbegin());
  children_.signalled(0);
  EXPECT_EQ((std::set<pid_t>{next(), next()}), over);
}

TEST_F(EndedChildrenTest, ASlotMayBeNotedAgainOnceNotesWereTaken) {
  for (int round = 0; round < 3; ++round) {
    next_slot_ = 0;
    const pid_t child = ended();
    note(child);
    children_.take_notes();
    next_slot_ = 0;
    const pid_t after = ended();
    note(after);
    children_.signalled(0);
    EXPECT_EQ((std::set<pid_t>{next(), next()}), (std::set<pid_t>{child, after})) << round;
    EXPECT_EQ(next(), 0);
  }
}

TEST_F(EndedChildrenTest, WhoeverStoppedAskingIsToAskAgainAtOnce) {
  const std::set<pid_t> over{ended(), ended()};
  for (const pid_t pid : over) note(pid);
  children_.signalled(0);
  EXPECT_TRUE(over.contains(next()));
  EXPECT_TRUE(children_.look_again().passed());
  EXPECT_TRUE(over.contains(next()));
  EXPECT_EQ(next(), 0);
  EXPECT_FALSE(children_.look_again().passed());
}

/// They have left no notes. Looks at all take a small part of the time where they find nobody; here
/// each of them does.
TEST_F(EndedChildrenTest, ManyWhoWereKilledAreFoundWithoutRests) {
  constexpr std::size_t count = 300;
  std::set<pid_t> over;
  while (over.size() < count) over.insert(start());
  for (const pid_t pid : over) end(pid);
  children_.signalled(*over.begin());
  std::set<pid_t> found;
  sys::Duration rests{0};
  const auto deadline = sys::Deadline::after(10s);
  while (found.size() < count && !deadline.passed()) {
    if (const pid_t pid = next()) {
      found.insert(pid);
      continue;
    }
    const auto begin = sys::Clock::now();
    ASSERT_TRUE(
        tests::eventually(tests::patience(), [&] { return children_.look_again().passed(); }));
    rests += sys::Clock::now() - begin;
  }
  EXPECT_EQ(found, over);
  EXPECT_LT(rests, 100ms);
}

/// With nobody left to find, a look at all costs what a look at this process's few children does.
TEST_F(EndedChildrenTest, LooksAtAllTakeASmallPartOfTheTime) {
  start();
  int looks = 0;
  const auto begin = sys::Clock::now();
  while (sys::Clock::now() - begin < 350ms) {
    children_.signalled(0);
    EXPECT_EQ(next(), 0);
    looks += children_.look_again().is_never();
  }
  EXPECT_GE(looks, 1);
  EXPECT_LE(looks, 4);
}

}  // namespace
}  // namespace forkecho::server
