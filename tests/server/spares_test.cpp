#include "server/spares.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

constexpr PoolSizes sizes{.start = 3, .min_spare = 2, .max_spare = 8, .max = 100};

std::vector<pid_t> pids_of(const Spares& spares) {
  std::vector<pid_t> pids;
  spares.for_each_pid([&](pid_t pid) { pids.push_back(pid); });
  return pids;
}

TEST(Spares, AreForkedAtOnceAtTheStart) {
  Spares spares(sizes, 0, 20);
  EXPECT_EQ(spares.decide(0).spawn, 3U);
}

TEST(Spares, AreNoMoreThanThereMayBeChildren) {
  Spares spares(sizes, 0, 2);
  EXPECT_EQ(spares.decide(0).spawn, 2U);
  EXPECT_EQ(spares.decide(1).spawn, 1U);
  EXPECT_EQ(spares.decide(2).spawn, 0U);
}

TEST(Spares, WhoAnnouncedAClientIsNoneAnyMore) {
  Spares spares(sizes, 0, 20);
  mp::RawArray<Slot> slots(4);
  for (std::uint32_t i = 0; i < 3; ++i) {
    slots[i].enter(SlotState::idle);
    spares.add(static_cast<pid_t>(100 + i), i);
  }
  EXPECT_FALSE(tests::readable(spares.fd(), sys::Deadline::immediately()));
  slots[1].enter(SlotState::serving);
  EXPECT_EQ(spares.collect(slots.all()), 0U) << "not announced";
  Spares::announce(spares.fd());
  EXPECT_TRUE(tests::readable(spares.fd(), sys::Deadline::immediately()));
  EXPECT_EQ(spares.collect(slots.all()), 1U);
  EXPECT_FALSE(tests::readable(spares.fd(), sys::Deadline::immediately()));
  EXPECT_EQ(spares.idle(), 2U);
  EXPECT_FALSE(spares.remove(101));
  EXPECT_TRUE(spares.remove(100));
  EXPECT_EQ(pids_of(spares), std::vector<pid_t>{102});
}

TEST(Spares, CanWaitForOthersWhileHalfOfThemAreLeft) {
  Spares spares({.start = 4, .min_spare = 4, .max_spare = 8, .max = 100}, 0, 20);
  EXPECT_FALSE(spares.can_wait());
  spares.add(100, 0);
  EXPECT_FALSE(spares.can_wait());
  spares.add(101, 1);
  EXPECT_TRUE(spares.can_wait());
  spares.ran_out();
  EXPECT_FALSE(spares.can_wait()) << "there are to be eight";
}

TEST(Spares, AreMoreAfterTheyRanOutAndSlowlyFewerAgain) {
  Spares spares({.start = 2, .min_spare = 2, .max_spare = 8, .max = 100}, 0, 20);
  EXPECT_EQ(spares.decide(0).spawn, 2U);
  spares.ran_out();
  EXPECT_EQ(spares.decide(0).spawn, 4U);
  for (int i = 0; i < 5; ++i) spares.ran_out();
  EXPECT_EQ(spares.decide(0).spawn, 8U) << "never beyond --pool-max-spare";
  for (int i = 0; i < 100; ++i) spares.relax();
  EXPECT_EQ(spares.decide(0).spawn, 2U);
}

TEST(Spares, GrowByOne) {
  Spares spares({.start = 2, .min_spare = 2, .max_spare = 8, .max = 100}, 0, 20);
  spares.grow(1);
  EXPECT_EQ(spares.decide(0).spawn, 3U);
  for (int i = 0; i < 5; ++i) spares.grow(-1);
  EXPECT_EQ(spares.decide(0).spawn, 1U);
  EXPECT_EQ(Spares(sizes, 3, 20).decide(0).spawn, 3U);
}

}  // namespace
}  // namespace forkecho::server
