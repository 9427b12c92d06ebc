// Clients of a Manager killed at every step and at random, while others go on; the Manager itself
// killed, while clients are in every kind of call.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <string>
#include <vector>

#include "common/mp/manager.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/kill_at_step.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

using std::string;
using sys::Deadline;
using tests::patience;

/// What the clients say they did, in memory that outlives them. Each figure counts before or after
/// the call that it is named for, so that the truth lies in between.
struct Ledger {
  std::atomic<std::uint64_t> begun;      // increments of the counter
  std::atomic<std::uint64_t> done;       // of these, finished
  std::atomic<std::uint64_t> told_died;  // owner_died was answered
  std::atomic<std::uint64_t> next_item;  // items that were to be put
  std::atomic<bool> stop;                // for the survivors
};
constexpr std::size_t most_items = 4'000'000;
/// What became of an item.
struct ItemRecord {
  std::atomic<std::uint8_t> put;  // its put returned
  std::atomic<std::uint8_t> got;  // how often get returned it
};

/// One manager, and the books of all who work with it.
class Workplace {
 public:
  Manager manager;
  RawValue<Ledger> ledger;
  RawArray<ItemRecord> items{most_items};
  LockProxy lock = manager.lock();
  DictProxy<string, std::uint64_t> books = manager.dict<string, std::uint64_t>();
  QueueProxy<std::uint64_t> queue = manager.queue<std::uint64_t>(64);

  Workplace() { books.set("count", 0); }

  /// Adds one to the counter under the lock.
  void increment() const {
    if (lock.acquire() == Acquired::owner_died) ++ledger->told_died;
    const auto count = books.at("count");
    ++ledger->begun;
    books.set("count", count + 1);
    ++ledger->done;
    lock.release();
  }
  void put_one(Deadline deadline) const {
    const std::uint64_t item = ledger->next_item++;
    if (item < most_items && queue.put(item, deadline)) items[item].put = 1;
  }
  bool get_one(Deadline deadline) const {
    const auto item = queue.get(deadline);
    if (item) ++items[*item].got;
    return item.has_value();
  }
  /// All that a client does, until it is killed or told to stop.
  void work(unsigned first) const {
    for (unsigned turn = first; !ledger->stop; ++turn) {
      if (turn % 3 == 0) increment();
      if (turn % 3 == 1) put_one(Deadline::after(std::chrono::milliseconds(1)));
      if (turn % 3 == 2) get_one(Deadline::after(std::chrono::milliseconds(1)));
    }
  }

  void expect_balance(unsigned kills) const {
    while (get_one(Deadline::immediately())) {
    }
    const auto count = books.at("count");
    EXPECT_GE(count, ledger->done);
    EXPECT_LE(count, ledger->begun);
    EXPECT_LE(ledger->begun - ledger->done, kills);
    EXPECT_LE(ledger->told_died, kills);
    std::uint64_t lost = 0;
    std::uint64_t twice = 0;
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(ledger->next_item, most_items); ++i) {
      lost += items[i].put > items[i].got;
      twice += items[i].got > 1;
    }
    EXPECT_EQ(twice, 0u);
    // Only with a client that was killed after its get had acknowledged and before it was recorded.
    EXPECT_LE(lost, kills);
    EXPECT_EQ(lock.acquire(patience()) == Acquired::timed_out, false);
    lock.release();
  }
};

/// Clients that work during all of a test, and are never killed.
class Survivors {
 public:
  Survivors(const Workplace& place, unsigned count) : place_(place) {
    for (unsigned i = 0; i < count; ++i) {
      children_.push_back(tests::start_child([&] {
        place.work(i);
        return 0;
      }));
    }
  }
  void expect_to_end_well() {
    place_.ledger->stop = true;
    for (const pid_t child : children_) EXPECT_EQ(tests::exitcode_of(child), 0);
  }

 private:
  const Workplace& place_;
  std::vector<pid_t> children_;
};

const std::vector<string> client_steps = {
    "manager.call.begin",   "manager.call.sent",        "manager.call.answered",
    "manager.get.received", "manager.get.acknowledged", "connection.send.begin",
    "connection.send.sent", "connection.recv.begin",    "connection.recv.received"};

TEST(ManagerClientKilled, AtEveryStepTheOthersGoOnAndTheBooksBalance) {
  const Workplace place;
  Survivors survivors(place, 2);
  const tests::KillCount kills;
  const unsigned rounds = static_cast<unsigned>(tests::soak(120, 2000));
  unsigned killed = 0;
  for (const string& step : client_steps) {
    for (unsigned round = 0; round < rounds; ++round) {
      const pid_t victim = tests::start_child([&] {
        tests::kill_at_step(step, kills, 1 + round % 12);
        place.work(round);
        return 0;
      });
      ASSERT_EQ(tests::exitcode_of(victim), -SIGKILL) << step;
      ++killed;
    }
    EXPECT_EQ(kills.count(), killed) << step << " was not reached";
  }
  survivors.expect_to_end_well();
  EXPECT_GT(place.ledger->told_died, 0u);
  place.expect_balance(killed);
}

TEST(ManagerClientKilled, AtAnyStepOfMany) {
  const Workplace place;
  Survivors survivors(place, 2);
  const tests::KillCount kills;
  std::mt19937 random(4711);
  const unsigned rounds = static_cast<unsigned>(tests::soak(200, 5000));
  for (unsigned round = 0; round < rounds; ++round) {
    const unsigned at = std::uniform_int_distribution<unsigned>(1, 150)(random);
    const pid_t victim = tests::start_child([&] {
      tests::kill_at_step("", kills, at);
      place.work(round);
      return 0;
    });
    ASSERT_EQ(tests::exitcode_of(victim), -SIGKILL);
  }
  survivors.expect_to_end_well();
  place.expect_balance(rounds);
}

TEST(ManagerClientKilled, AtRandomMoments) {
  const Workplace place;
  Survivors survivors(place, 1);
  std::mt19937 random(4712);
  const unsigned rounds = static_cast<unsigned>(tests::soak(400, 10'000));
  for (unsigned round = 0; round < rounds; ++round) {
    const auto delay = std::chrono::microseconds(
        std::uniform_int_distribution<int>(0, round % 4 == 0 ? 5000 : 1500)(random));
    const pid_t victim = tests::start_child([&] {
      place.work(round);
      return 0;
    });
    const auto until = Deadline::after(delay).to_timespec();
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    kill(victim, SIGKILL);
    ASSERT_EQ(tests::exitcode_of(victim), -SIGKILL);
  }
  survivors.expect_to_end_well();
  place.expect_balance(rounds);
}

TEST(ManagerClientKilled, WhoIsKilledHoldingTheLockPassesItOnWithOwnerDied) {
  const Manager manager;
  const auto lock = manager.lock();
  const tests::KillCount kills;
  const int rounds = tests::soak(100, 3000);
  for (int round = 0; round < rounds; ++round) {
    tests::Gate held;
    const pid_t holder = tests::start_child([&] {
      lock.acquire();
      held.open();
      tests::kill_at_step(round % 2 == 0 ? "manager.call.begin" : "connection.send.begin", kills);
      lock.release();
      return 0;
    });
    ASSERT_TRUE(held.pass());
    EXPECT_EQ(lock.acquire(patience()), Acquired::owner_died);
    lock.release();
    ASSERT_EQ(tests::exitcode_of(holder), -SIGKILL);
  }
  EXPECT_EQ(kills.count(), static_cast<unsigned>(rounds));
}

TEST(ManagerClientKilled, AnItemHandedToWhoDiedUnawareComesBackOnce) {
  const Manager manager;
  const auto queue = manager.queue<int>();
  const tests::KillCount kills;
  const int rounds = tests::soak(100, 3000);
  for (int round = 0; round < rounds; ++round) {
    const string step = round % 2 == 0 ? "manager.get.received" : "manager.get.acknowledged";
    ASSERT_TRUE(queue.put(round));
    const pid_t getter = tests::start_child([&] {
      tests::kill_at_step(step, kills);
      queue.get();
      return 0;
    });
    ASSERT_EQ(tests::exitcode_of(getter), -SIGKILL);
    if (round % 2 == 0) {
      EXPECT_EQ(queue.get(patience()), round);
    }
    EXPECT_EQ(queue.get_nowait(), std::nullopt);
  }
  EXPECT_EQ(kills.count(), static_cast<unsigned>(rounds));
}

const std::vector<string> server_steps = {
    "manager_server.serve.begin", "manager_server.serve.received", "manager_server.serve.applied",
    "manager_server.answer.begin", "manager_server.answer.sent"};

/// A manager whose process will kill itself at a step. Its maker has not this in store for itself.
class DoomedManager {
 public:
  DoomedManager(const string& step, const tests::KillCount& kills, unsigned occurrence) {
    tests::kill_at_step(step, kills, occurrence);
    // The maker comes to steps of its own while it connects, none of which is the server's.
    manager.emplace();
    step_observer = nullptr;
  }
  std::optional<Manager> manager;
};

TEST(ManagerItselfKilled, AtEveryStepEachClientIsToldAtOnce) {
  const tests::KillCount kills;
  const unsigned rounds = static_cast<unsigned>(tests::soak(20, 500));
  unsigned killed = 0;
  for (const string& step : server_steps) {
    for (unsigned round = 0; round < rounds; ++round) {
      // The first requests make the objects.
      const DoomedManager doomed(step, kills, 3 + round);
      const auto lock = doomed.manager->lock();
      const auto queue = doomed.manager->queue<int>();
      std::vector<pid_t> clients;
      for (int client = 0; client < 2; ++client) {
        clients.push_back(tests::start_child([&] {
          try {
            for (int i = 0;; ++i) {
              lock.acquire(patience());
              queue.put(i, Deadline::immediately());
              queue.get_nowait();
              lock.release();
            }
          } catch (const ManagerDied&) {
            return 0;
          }
        }));
      }
      for (const pid_t client : clients) ASSERT_EQ(tests::exitcode_of(client), 0) << step;
      ++killed;
    }
    EXPECT_EQ(kills.count(), killed) << step << " was not reached";
  }
}

TEST(ManagerItselfKilled, AtRandomMomentsNobodyWaitsForEver) {
  std::mt19937 random(4713);
  const int rounds = tests::soak(100, 3000);
  for (int round = 0; round < rounds; ++round) {
    const Manager manager;
    const auto lock = manager.lock();
    const auto queue = manager.queue<int>();
    const auto dict = manager.dict<int, int>();
    std::vector<pid_t> clients;
    for (int client = 0; client < 3; ++client) {
      clients.push_back(tests::start_child([&] {
        try {
          for (int i = 0;; ++i) {
            if (client == 0) lock.acquire();
            if (client == 0) lock.release();
            if (client == 1) queue.get();  // waits for ever
            if (client == 2) dict.set(i % 8, i);
          }
        } catch (const ManagerDied&) {
          return 0;
        }
      }));
    }
    const auto until = Deadline::after(std::chrono::microseconds(
                                           std::uniform_int_distribution<int>(0, 3000)(random)))
                           .to_timespec();
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    kill(*manager.pid(), SIGKILL);
    for (const pid_t client : clients) ASSERT_EQ(tests::exitcode_of(client), 0);
  }
}

}  // namespace
}  // namespace forkecho::mp
