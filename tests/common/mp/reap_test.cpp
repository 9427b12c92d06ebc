#include "common/mp/reap.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <map>
#include <system_error>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

pid_t start_ended_child(int code) {
  const pid_t pid = tests::start_child([code] { return code; });
  EXPECT_TRUE(tests::readable(open_sentinel(pid).get()));
  return pid;
}

TEST(Reap, OneThatRunsIsNeitherReapedNorGone) {
  Gate end;
  const pid_t child = tests::start_child([&] { return end.pass() ? 3 : 1; });
  const Reaped now = reap_one(child);
  EXPECT_FALSE(now.exit);
  EXPECT_FALSE(now.none_left);
  end.open();
  EXPECT_EQ(tests::exitcode_of(child), 3);
}

TEST(Reap, OneThatEndedGivesItsExitCodeOnce) {
  const pid_t child = start_ended_child(9);
  const Reaped first = reap_one(child);
  ASSERT_TRUE(first.exit);
  EXPECT_EQ(first.exit->pid, child);
  EXPECT_EQ(first.exit->exitcode, 9);
  EXPECT_TRUE(reap_one(child).none_left);
}

TEST(Reap, AStrangerIsNobodyToWaitFor) {
  EXPECT_TRUE(reap_one(getppid()).none_left);
}

TEST(Reap, ADeathBySignalIsNegative) {
  for (const int number : {SIGKILL, SIGTERM, SIGABRT}) {
    const pid_t child = tests::start_child([] { return pause(); });
    kill(child, number);
    EXPECT_EQ(tests::exitcode_of(child), -number);
  }
}

TEST(Reap, AnyFindsEveryoneAndThenNobody) {
  std::map<pid_t, int> expected;
  for (int code = 0; code < 5; ++code) expected[start_ended_child(code)] = code;
  std::map<pid_t, int> found;
  while (const auto exit = reap_any().exit) found[exit->pid] = exit->exitcode;
  EXPECT_EQ(found, expected);
  EXPECT_TRUE(reap_any().none_left);
}

TEST(Reap, AnyDeliversToTheProcessThatOwnsTheChild) {
  Process owner([] { leave(21); });
  owner.start();
  ASSERT_TRUE(tests::readable(owner.sentinel()));
  ASSERT_TRUE(reap_any().exit);
  EXPECT_TRUE(owner.join(sys::Deadline::after({})));
  EXPECT_EQ(owner.exitcode(), 21);
}

TEST(Reap, PeekLeavesTheChildUnreaped) {
  EXPECT_FALSE(peek_ended());
  const pid_t child = start_ended_child(4);
  for (int again = 0; again < 2; ++again) {
    const auto ended = peek_ended();
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->pid, child);
    EXPECT_EQ(ended->exitcode, 4);
  }
  EXPECT_EQ(tests::exitcode_of(child), 4);
}

TEST(Reap, AGroupHasNobodyElse) {
  const pid_t outside = start_ended_child(1);
  Gate end;
  const pid_t leader = tests::start_child([&] { return end.pass() ? 2 : 1; });
  ASSERT_EQ(setpgid(leader, leader), 0);
  EXPECT_FALSE(reap_group(leader).exit);
  EXPECT_FALSE(reap_group(leader).none_left);
  end.open();
  EXPECT_TRUE(tests::readable(open_sentinel(leader).get()));
  const Reaped member = reap_group(leader);
  ASSERT_TRUE(member.exit);
  EXPECT_EQ(member.exit->pid, leader);
  EXPECT_TRUE(reap_group(leader).none_left);
  EXPECT_EQ(tests::exitcode_of(outside), 1);
}

TEST(Reap, AGroupIncludesAdoptedChildren) {
  const tests::AdoptOrphans adopt;
  RawValue<std::atomic<pid_t>> grandchild;
  const pid_t leader = tests::start_child([&] {
    setpgid(0, 0);
    *grandchild = tests::start_child([] { return pause(); });
    return 0;
  });
  ASSERT_EQ(tests::exitcode_of(leader), 0);
  EXPECT_FALSE(reap_group(leader).none_left);
  kill(*grandchild, SIGTERM);
  EXPECT_TRUE(tests::readable(open_sentinel(*grandchild).get()));
  const Reaped member = reap_group(leader);
  ASSERT_TRUE(member.exit);
  EXPECT_EQ(member.exit->pid, *grandchild);
  EXPECT_EQ(member.exit->exitcode, -SIGTERM);
}

TEST(Sentinel, IsReadableAtTheDeathAndNotBefore) {
  Gate end;
  const pid_t child = tests::start_child([&] { return end.pass() ? 0 : 1; });
  const sys::Descriptor sentinel = open_sentinel(child);
  EXPECT_FALSE(tests::readable(sentinel.get(), sys::Deadline::after({})));
  EXPECT_NE(fcntl(sentinel.get(), F_GETFD) & FD_CLOEXEC, 0);
  end.open();
  EXPECT_TRUE(tests::readable(sentinel.get()));
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(Sentinel, OfNobodyIsAnError) {
  const pid_t child = start_ended_child(0);
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_THROW(open_sentinel(child), std::system_error);
}

TEST(ReapBefore, GivesUpAtItsDeadline) {
  Gate end;
  const pid_t child = tests::start_child([&] { return end.pass() ? 6 : 1; });
  const auto deadline = sys::Deadline::after(std::chrono::milliseconds(20));
  EXPECT_FALSE(reap_before(child, deadline));
  EXPECT_TRUE(deadline.passed());
  end.open();
  EXPECT_EQ(tests::exitcode_of(child), 6);
}

TEST(ReapBefore, WaitsForOneThatEndsLater) {
  Gate end;
  const pid_t child = tests::start_child([&] { return end.pass() ? 6 : 1; });
  const pid_t helper = tests::start_child([&] {
    usleep(20'000);  // not for luck: earlier or later, the answer is the same
    end.open();
    return 0;
  });
  const auto exit = reap_before(child, sys::Deadline::never());
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->exitcode, 6);
  EXPECT_EQ(tests::exitcode_of(helper), 0);
}

TEST(ReapBefore, DoesNotWaitForAStranger) {
  EXPECT_FALSE(reap_before(getppid(), sys::Deadline::never()));
}

TEST(TakeStopped, TellsOnceOfEachStop) {
  EXPECT_FALSE(take_stopped());
  const pid_t child = tests::start_child([] {
    for (;;) pause();
    return 0;
  });
  EXPECT_TRUE(is_unreaped_child(child));
  for (int round = 0; round < 2; ++round) {
    kill(child, SIGSTOP);
    std::optional<pid_t> stopped;
    EXPECT_TRUE(
        tests::eventually(tests::patience(), [&] { return bool(stopped = take_stopped()); }));
    EXPECT_EQ(stopped, child);
    EXPECT_FALSE(take_stopped());
    kill(child, SIGCONT);
  }
  kill(child, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(child), -SIGKILL);
  EXPECT_FALSE(is_unreaped_child(child));
  EXPECT_FALSE(take_stopped());
}

}  // namespace
}  // namespace forkecho::mp
