#include "common/mp/barrier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

constexpr unsigned parties = 5;
using Counter = RawValue<std::atomic<unsigned>>;

/// Runs `body` in as many processes, this one included, all of which must return 0.
void run_parties(const std::function<int()>& body, unsigned count = parties) {
  std::vector<pid_t> children;
  for (unsigned i = 1; i < count; ++i) children.push_back(tests::start_child(body));
  EXPECT_EQ(body(), 0);
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
}

bool breaks(Barrier& barrier, sys::Deadline deadline = tests::patience()) {
  try {
    barrier.wait(deadline);
  } catch (const BrokenBarrier&) {
    return !deadline.passed();
  }
  return false;
}

/// A child that waits; returns once it does.
pid_t start_waiter(Barrier& barrier) {
  const unsigned before = barrier.n_waiting();
  const pid_t waiter = tests::start_child([&] { return breaks(barrier) ? 0 : 1; });
  EXPECT_TRUE(
      tests::eventually(tests::patience(), [&] { return barrier.n_waiting() == before + 1; }));
  return waiter;
}

TEST(Barrier, EachPartyIsToldAPlaceOfItsOwn) {
  PROVES("cpython:test_wait_return");
  Barrier barrier(parties);
  EXPECT_EQ(barrier.parties(), parties);
  const RawArray<std::atomic<unsigned>> places(parties);
  run_parties([&] {
    ++places[barrier.wait(tests::patience())];
    return 0;
  });
  for (const auto& place : places.all()) EXPECT_EQ(place, 1U);
  EXPECT_EQ(barrier.n_waiting(), 0U);
}

TEST(Barrier, IsPassedInLockstep) {
  Barrier barrier(parties);
  const Counter before;
  const Counter after;
  run_parties([&] {
    for (unsigned round = 0; round < 10; ++round) {
      ++*before;
      if (*after != round * parties) return 1;
      barrier.wait(tests::patience());
      ++*after;
      if (*before != (round + 1) * parties) return 2;
      barrier.wait(tests::patience());
    }
    return 0;
  });
  EXPECT_FALSE(barrier.broken());
}

TEST(Barrier, TheActionRunsOnceBeforeAnyonePasses) {
  PROVES("cpython:test_action");
  const Counter acted;
  Barrier barrier(parties, [&] { ++*acted; });
  run_parties([&] {
    for (unsigned round = 1; round <= 3; ++round) {
      barrier.wait(tests::patience());
      if (*acted != round) return 1;  // it cannot become more before this party waits again
    }
    return 0;
  });
}

TEST(Barrier, AnActionThatThrowsBreaksIt) {
  Barrier barrier(2, [] { throw std::runtime_error("on purpose"); });
  const pid_t waiter = start_waiter(barrier);
  EXPECT_THROW(barrier.wait(tests::patience()), std::runtime_error);
  EXPECT_EQ(tests::exitcode_of(waiter), 0);
  EXPECT_TRUE(barrier.broken());
}

TEST(Barrier, AnActionThatThrowsAfterAResetBreaksNoNewRound) {
  tests::Gate acts;
  tests::Gate was_reset;
  Barrier barrier(1, [&] {
    acts.open();
    was_reset.pass();
    throw std::runtime_error("on purpose");
  });
  const pid_t runner = tests::start_child([&] {
    try {
      barrier.wait(tests::patience());
    } catch (const BrokenBarrier&) {
      return 1;
    } catch (const std::runtime_error&) {
      return 0;
    }
    return 2;
  });
  ASSERT_TRUE(acts.pass());
  barrier.reset();
  was_reset.open();
  EXPECT_EQ(tests::exitcode_of(runner), 0);
  EXPECT_FALSE(barrier.broken());
}

TEST(Barrier, AnActionMayAskTheBarrier) {
  unsigned waiting = 0;
  Barrier* self = nullptr;
  Barrier barrier(1, [&] { waiting = self->n_waiting(); });
  self = &barrier;
  EXPECT_EQ(barrier.wait(tests::patience()), 0U);
  EXPECT_EQ(waiting, 1U);
}

TEST(Barrier, AbortBreaksItForAll) {
  PROVES("cpython:test_abort");
  Barrier barrier(parties);
  const Counter passed;
  const Counter broke;
  run_parties([&] {
    try {
      if (barrier.wait(tests::patience()) == parties / 2) {
        barrier.abort();
        return 0;
      }
      barrier.wait(tests::patience());
      ++*passed;
    } catch (const BrokenBarrier&) {
      ++*broke;
    }
    return 0;
  });
  EXPECT_EQ(*passed, 0U);
  EXPECT_EQ(*broke, parties - 1);
  EXPECT_TRUE(barrier.broken());
  EXPECT_TRUE(breaks(barrier));
}

TEST(Barrier, ResetFreesThoseWhoWaitAndMakesItAsNew) {
  PROVES("cpython:test_reset");
  Barrier barrier(parties);
  const Counter passed;
  const Counter broke;
  const Counter passed_again;
  run_parties([&] {
    if (barrier.wait(tests::patience()) == parties / 2) {
      const bool all =
          tests::eventually(tests::patience(), [&] { return barrier.n_waiting() == parties - 1; });
      if (!all) return 1;
      barrier.reset();
    } else {
      ++*(breaks(barrier) ? broke : passed);
    }
    barrier.wait(tests::patience());
    ++*passed_again;
    return 0;
  });
  EXPECT_EQ(*passed, 0U);
  EXPECT_EQ(*broke, parties - 1);
  EXPECT_EQ(*passed_again, parties);
}

TEST(Barrier, AfterAnAbortResetMakesItAsNew) {
  Barrier barrier(parties);
  barrier.abort();
  EXPECT_TRUE(barrier.broken());
  barrier.reset();
  EXPECT_FALSE(barrier.broken());
  run_parties([&] { return barrier.wait(tests::patience()) < parties ? 0 : 1; });
}

TEST(Barrier, ADeadlineThatPassesBreaksIt) {
  PROVES("cpython:test_timeout");
  Barrier barrier(parties);
  const Counter broke;
  run_parties([&] {
    if (barrier.wait(tests::patience()) == parties / 2) {
      const bool others_gave_up =
          tests::eventually(tests::patience(), [&] { return *broke == parties - 1; });
      if (!others_gave_up) return 1;
    }
    try {
      barrier.wait(sys::Deadline::after(std::chrono::milliseconds(60)));
    } catch (const BrokenBarrier&) {
      ++*broke;
    }
    return 0;
  });
  EXPECT_EQ(*broke, parties);
  EXPECT_TRUE(barrier.broken());
}

TEST(Barrier, ADeadlineOfItsOwnForAllWaits) {
  Barrier barrier(2, {}, std::chrono::milliseconds(20));
  const auto begin = sys::Clock::now();
  EXPECT_THROW(barrier.wait(), BrokenBarrier);
  EXPECT_GE(sys::Clock::now() - begin, std::chrono::milliseconds(20));
}

TEST(Barrier, OfOneParty) {
  Barrier barrier(1);
  EXPECT_EQ(barrier.wait(), 0U);
  EXPECT_EQ(barrier.wait(), 0U);
}

TEST(Barrier, OfNoneIsRefused) {
  EXPECT_THROW(Barrier(0), std::invalid_argument);
}

TEST(Barrier, AThousandRounds) {
  PROVES("2.1", "cpython:test_thousand");
  Barrier barrier(parties);
  const RawArray<std::atomic<unsigned>> arrived(1000);
  run_parties([&] {
    for (std::size_t round = 0; round < arrived.size(); ++round) {
      ++arrived[round];
      barrier.wait(tests::patience());
      if (arrived[round] != parties) return 1;
    }
    return 0;
  });
}

TEST(Barrier, ForThreadsAndProcessesTogether) {
  Barrier barrier(3);
  const pid_t child =
      tests::start_child([&] { return barrier.wait(tests::patience()) < 3 ? 0 : 1; });
  std::thread thread([&] { EXPECT_LT(barrier.wait(tests::patience()), 3U); });
  EXPECT_LT(barrier.wait(tests::patience()), 3U);
  thread.join();
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(Barrier, APartyKilledWhileItWaitsBreaksItForTheOthers) {
  PROVES("0.5");
  Barrier barrier(3);
  const pid_t killed = start_waiter(barrier);
  const pid_t waiter = start_waiter(barrier);
  kill(killed, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(killed), -SIGKILL);
  EXPECT_EQ(tests::exitcode_of(waiter), 0);
  EXPECT_TRUE(barrier.broken());
  EXPECT_EQ(barrier.n_waiting(), 0U);
}

TEST(Barrier, APartyKilledInTheActionBreaksItForTheOthers) {
  Barrier barrier(2, [] { raise(SIGKILL); });
  const pid_t waiter = start_waiter(barrier);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              barrier.wait();
              return 0;
            }),
            -SIGKILL);
  EXPECT_EQ(tests::exitcode_of(waiter), 0);
}

TEST(Barrier, OneWhoComesDuringTheActionWaitsForTheNextRound) {
  tests::Gate acts;
  tests::Gate late_has_come;
  Barrier barrier(1, [&] {
    acts.open();
    late_has_come.pass();
  });
  const pid_t first = tests::start_child([&] {
    barrier.wait(tests::patience());
    return barrier.broken() ? 1 : 0;
  });
  ASSERT_TRUE(acts.pass());
  EXPECT_EQ(barrier.n_waiting(), 1U);
  late_has_come.open();
  EXPECT_EQ(barrier.wait(tests::patience()), 0U);
  EXPECT_EQ(tests::exitcode_of(first), 0);
}

}  // namespace
}  // namespace forkecho::mp
