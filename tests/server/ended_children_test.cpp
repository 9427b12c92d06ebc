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

  SlotTable slots_{8};
  EndedNotes& notes_ = slots_.ended();
  EndedChildren children_{notes_};
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
  notes_.add(second);
  children_.signalled(first);
  EXPECT_EQ((std::set<pid_t>{next(), next()}), (std::set<pid_t>{first, second}));
  EXPECT_EQ(next(), 0);
}

TEST_F(EndedChildrenTest, WhoNotesItsEndIsAskedAgainUntilItHasEnded) {
  const pid_t child = start();
  notes_.add(child);
  children_.signalled(0);
  EXPECT_EQ(next(), 0) << "on its way out";
  end(child, SIGTERM);
  children_.signalled(0);
  EXPECT_EQ(next(), child);
}

TEST_F(EndedChildrenTest, NonsenseIsNotBelieved) {
  const pid_t child = ended();
  for (const pid_t pid : {getpid(), 1, -1, 0, 0x7fffffff}) notes_.add(pid);
  notes_.add(child);
  children_.signalled(getpid());
  EXPECT_EQ(next(), child);
  EXPECT_EQ(next(), 0);
}

TEST_F(EndedChildrenTest, ACountThatCannotBeIsNotCountedTo) {
  notes_.next.store(0xF0000000);
  children_.signalled(0);
  const auto begin = sys::Clock::now();
  EXPECT_EQ(next(), 0);
  EXPECT_LT(sys::Clock::now() - begin, 1s);
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

TEST_F(EndedChildrenTest, MoreNotesThanThereIsRoomForAreMadeUpFor) {
  const pid_t lost = ended();
  const pid_t last = ended();
  notes_.add(lost);
  for (std::uint32_t i = 0; i < 2 * EndedNotes::places; ++i) notes_.add(1);
  notes_.add(last);
  children_.signalled(0);
  EXPECT_EQ(next(), last);
  EXPECT_EQ(next_in_time(), lost);
}

TEST_F(EndedChildrenTest, NotesWrapAround) {
  for (std::uint32_t round = 0; round < 3; ++round) {
    for (std::uint32_t i = 0; i < EndedNotes::places - 1; ++i) notes_.add(1);
    const pid_t child = ended();
    notes_.add(child);
    children_.signalled(0);
    EXPECT_EQ(next(), child) << round;
    EXPECT_EQ(next(), 0);
  }
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
