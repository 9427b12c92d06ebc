#include "common/mp/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"
#include "tests/support/temp_dir.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

/// A child that holds `lock` until it is killed; returns once it does.
pid_t start_holder(Lock& lock) {
  Gate held;
  const pid_t holder = tests::start_child([&] {
    lock.acquire();
    held.open();
    pause();
    return 0;
  });
  EXPECT_TRUE(held.pass());
  return holder;
}

void kill_and_reap(pid_t pid) {
  kill(pid, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(pid), -SIGKILL);
}

sys::Deadline soon() {
  return sys::Deadline::after(std::chrono::milliseconds(10));
}

TEST(Lock, IsAcquiredAndReleasedAgainAndAgain) {
  PROVES("2.1", "cpython:test_lock");
  Lock lock;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(lock.acquire(), Acquired::yes);
    lock.release();
    EXPECT_EQ(lock.acquire(sys::Deadline::after({})), Acquired::yes);
    lock.release();
  }
}

TEST(Lock, LetsOneProcessInAtATime) {
  const int rounds = tests::soak(20'000, 1'000'000);
  Lock lock;
  const RawValue<int> count;  // no atomic: what one loses, the sum shows
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(tests::start_child([&] {
      for (int n = 0; n < rounds; ++n) {
        const LockGuard guard(lock);
        *count = *count + 1;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(*count, 4 * rounds);
}

TEST(Lock, GivesUpAtTheDeadline) {
  Lock lock;
  const pid_t holder = start_holder(lock);
  const auto deadline = soon();
  EXPECT_EQ(lock.acquire(deadline), Acquired::timed_out);
  EXPECT_TRUE(deadline.passed());
  EXPECT_EQ(lock.acquire(sys::Deadline::immediately()), Acquired::timed_out);
  kill_and_reap(holder);
}

TEST(Lock, SurvivesAKilledHolder) {
  PROVES("0.5");
  for (int round = 0; round < tests::soak(20, 2000); ++round) {
    Lock lock;
    kill_and_reap(start_holder(lock));
    EXPECT_EQ(lock.acquire(tests::patience()), Acquired::owner_died);
    lock.release();
    EXPECT_EQ(lock.acquire(tests::patience()), Acquired::yes);  // said once
    lock.release();
  }
}

TEST(Lock, SurvivesAHolderThatLeaves) {
  Lock lock;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              lock.acquire();
              return 0;
            }),
            0);
  EXPECT_EQ(lock.acquire(), Acquired::owner_died);
  lock.release();
}

TEST(Lock, AKillWakesAWaiter) {
  Lock lock;
  const pid_t holder = start_holder(lock);
  Gate about_to_wait;
  const pid_t waiter = tests::start_child([&] {
    about_to_wait.open();
    return lock.acquire() == Acquired::owner_died ? 0 : 1;
  });
  EXPECT_TRUE(about_to_wait.pass());
  // Whether it waits already or not yet, the answer is the same; most of the time it does.
  EXPECT_EQ(lock.acquire(soon()), Acquired::timed_out);
  kill_and_reap(holder);
  EXPECT_EQ(tests::exitcode_of(waiter), 0);
  EXPECT_EQ(lock.acquire(), Acquired::owner_died);  // the waiter left with it
  lock.release();
}

TEST(Lock, IsNotRecursive) {
  Lock lock;
  const LockGuard guard(lock);
  EXPECT_THROW(lock.acquire(), std::logic_error);
  EXPECT_THROW(lock.acquire(soon()), std::logic_error);
}

bool release_is_refused(Lock& lock) {
  try {
    lock.release();
  } catch (const std::logic_error&) {
    return true;
  }
  return false;
}

TEST(Lock, OnlyItsHolderReleases) {
  Lock lock;
  EXPECT_TRUE(release_is_refused(lock));
  const LockGuard guard(lock);
  EXPECT_EQ(tests::exitcode_in_child([&] { return release_is_refused(lock) ? 0 : 1; }), 0);
  std::thread([&] { EXPECT_TRUE(release_is_refused(lock)); }).join();
}

TEST(Lock, AForkDoesNotShareTheHolding) {
  Lock lock;
  const LockGuard guard(lock);
  EXPECT_EQ(
      tests::exitcode_in_child([&] { return lock.acquire(soon()) == Acquired::timed_out ? 0 : 1; }),
      0);
}

TEST(Lock, AHolderMayDestroyIt) {
  Lock other;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              other.acquire();
              {
                Lock lock;
                lock.acquire();
              }
              return 0;
            }),
            0);
  EXPECT_EQ(other.acquire(tests::patience()), Acquired::owner_died);
  other.release();
}

std::vector<std::string> lines_of(const std::string& file) {
  std::istringstream content(tests::content_of(file));
  std::vector<std::string> lines;
  for (std::string line; std::getline(content, line);) lines.push_back(line);
  return lines;
}

TEST(Lock, FiveChildrenAppendToOneFile) {
  PROVES("1.3");
  const tests::TempDir directory;
  const std::string file = directory.path("lines.txt");
  Lock lock;
  std::vector<pid_t> children;
  for (int i = 0; i < 5; ++i) {
    children.push_back(tests::start_child([&] {
      const LockGuard guard(lock);
      std::ofstream out(file, std::ios::app);
      // In many small pieces, so that two writers at once would mix them.
      for (int n = 0; n < 1000; ++n) out << i << std::flush;
      out << std::endl;
      return out.good() ? 0 : 1;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  std::vector<std::string> expected;
  for (char digit = '0'; digit < '5'; ++digit) expected.emplace_back(1000, digit);
  EXPECT_THAT(lines_of(file), testing::UnorderedElementsAreArray(expected));
}

/// The ticket office of the seed: a number in a file, that buyers read, and write back one less.
class TicketOffice {
 public:
  explicit TicketOffice(int tickets) { write(tickets); }
  int read() const { return std::stoi(tests::content_of(file_)); }
  void write(int tickets) const { std::ofstream(file_) << tickets; }

 private:
  tests::TempDir directory_;
  std::string file_ = directory_.path("tickets");
};

constexpr int bought = 0;
constexpr int sold_out = 1;

/// How many of ten buyers leave with a ticket.
template <typename Buy>
long buyers_who_succeed(Buy buy) {
  std::vector<pid_t> buyers;
  for (int i = 0; i < 10; ++i) buyers.push_back(tests::start_child([&, i] { return buy(i); }));
  long successes = 0;
  for (const pid_t buyer : buyers) successes += tests::exitcode_of(buyer) == bought ? 1 : 0;
  return successes;
}

int buy_one(const TicketOffice& office) {
  const int left = office.read();
  if (left == 0) return sold_out;
  office.write(left - 1);
  return bought;
}

TEST(Lock, TwoTicketsAreSoldToTwoOfTenBuyers) {
  PROVES("3.7");
  const TicketOffice office(2);
  Lock lock;
  EXPECT_EQ(buyers_who_succeed([&](int) {
              const LockGuard guard(lock);
              return buy_one(office);
            }),
            2);
  EXPECT_EQ(office.read(), 0);
}

TEST(Lock, WithoutALockTicketsAreOversold) {
  PROVES("3.7");
  const TicketOffice office(2);
  Gate all_have_looked;
  const RawValue<std::atomic<int>> looked;
  EXPECT_EQ(buyers_who_succeed([&](int) {
              const int left = office.read();
              if (++*looked == 10) all_have_looked.open();
              all_have_looked.pass();  // in the seed: the delay of the network
              office.write(left - 1);
              return left > 0 ? bought : sold_out;
            }),
            10);
}

// In the seed the first buyer fails while it holds the lock, and nine wait for ever.
TEST(Lock, ABuyerWhoCrashesWithTheLockHoldsNobodyUp) {
  PROVES("3.7");
  const TicketOffice office(2);
  Lock lock;
  const RawValue<std::atomic<int>> told;
  EXPECT_EQ(buyers_who_succeed([&](int i) {
              const LockGuard guard(lock);
              if (guard.owner_died()) ++*told;
              if (i == 0) raise(SIGKILL);
              return buy_one(office);
            }),
            2);
  EXPECT_EQ(office.read(), 0);
  if (lock.acquire() == Acquired::owner_died) ++*told;  // the one who crashed was the last
  EXPECT_EQ(*told, 1);
  lock.release();
}

TEST(LockGuard, ReleasesAtTheEndOfItsScopeAndTellsOfADeath) {
  Lock lock;
  kill_and_reap(start_holder(lock));
  {
    const LockGuard guard(lock);
    EXPECT_TRUE(guard.owner_died());
  }
  const LockGuard guard(lock);
  EXPECT_FALSE(guard.owner_died());
}

}  // namespace
}  // namespace forkecho::mp
