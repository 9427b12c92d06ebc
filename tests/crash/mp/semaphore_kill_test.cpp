#include "common/mp/semaphore.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>

#include "tests/support/kill_rounds.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

constexpr unsigned permits = 2;

struct Inside {
  std::atomic<int> survivors;
};

int pass_through(Semaphore& semaphore, std::atomic<int>* inside) {
  if (!semaphore.acquire(tests::patience())) return 1;
  // The killed never left: only survivors can be counted.
  if (inside != nullptr && ++*inside > static_cast<int>(permits)) return 2;
  FORKECHO_MP_STEP("test.semaphore.inside");
  sched_yield();  // so that others come while it is taken
  if (inside != nullptr) --*inside;
  semaphore.release();
  return 0;
}

void kill_its_holders(Semaphore& semaphore) {
  const RawValue<Inside> inside;
  tests::Survivors survivors;
  survivors.start(3, [&] { return pass_through(semaphore, &inside->survivors); });
  const auto victim = [&] { pass_through(semaphore, nullptr); };
  for (const char* const step :
       {"semaphore.acquire.waiting", "semaphore.acquire.woken", "semaphore.acquire.accounted",
        "semaphore.acquire.taken", "test.semaphore.inside", "semaphore.release.accounted",
        "semaphore.release.given", "holder_table.take.prepared", "holder_table.take.taken",
        "holder_table.free.freed"})
    tests::kill_each_at(step, tests::soak(50, 500), victim);
  tests::kill_each_at_random(tests::soak(600, 6000), victim);
  survivors.stop();
  EXPECT_EQ(semaphore.get_value(), permits);  // none lost, none made
}

TEST(SemaphoreKilled, HoldersAndWaitersAtAnyMoment) {
  PROVES("0.5");
  Semaphore semaphore(permits);
  kill_its_holders(semaphore);
}

TEST(BoundedSemaphoreKilled, HoldersAndWaitersAtAnyMoment) {
  PROVES("0.5");
  BoundedSemaphore semaphore(permits);
  kill_its_holders(semaphore);
}

/// A semaphore whose permits one process makes and others use up.
TEST(SemaphoreKilled, SignallersLoseNoSignalThatWasGiven) {
  Semaphore semaphore(0, OnDeath::keep);
  const RawValue<std::atomic<unsigned>> announced;
  const RawValue<std::atomic<unsigned>> given;
  const auto signal = [&] {
    ++*announced;
    semaphore.release();
    ++*given;
  };
  for (const char* const step : {"semaphore.release.accounted", "semaphore.release.given"})
    tests::kill_each_at(step, tests::soak(50, 500), signal);
  tests::kill_each_at_random(tests::soak(200, 2000), signal);
  // A signaller killed in between has given its last one or not.
  EXPECT_GE(semaphore.get_value(), *given);
  EXPECT_LE(semaphore.get_value(), *announced);
}

TEST(SemaphoreKilled, WhoSettlesTheDeadMayBeKilledToo) {
  Semaphore semaphore(permits);
  const tests::KillCount kills;
  for (int i = 0; i < 100; ++i) {
    // The first dies with both permits, the second while it gives them back.
    ASSERT_EQ(tests::exitcode_in_child([&] {
                for (unsigned n = 0; n < permits; ++n) semaphore.acquire();
                return 0;
              }),
              0);
    ASSERT_EQ(tests::exitcode_in_child([&] {
                tests::kill_at_step("holder_table.settle_dead.settled", kills);
                semaphore.acquire();
                return 0;
              }),
              -SIGKILL);
    ASSERT_EQ(semaphore.get_value(), permits);
  }
  EXPECT_EQ(kills.count(), 100U);
}

}  // namespace
}  // namespace forkecho::mp
