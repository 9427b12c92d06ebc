#include "common/mp/reservation.h"

#include <gtest/gtest.h>

namespace forkecho::mp {
namespace {

constexpr pid_t me = 1;
constexpr pid_t other = 2;

TEST(Reservation, KeepsOthersOutUntilItIsGivenUp) {
  const auto now = sys::Clock::now();
  Reservation reservation;
  EXPECT_FALSE(reservation.exists());
  EXPECT_TRUE(reservation.allows(other, now));
  reservation.claim(me, now);
  EXPECT_TRUE(reservation.exists());
  EXPECT_TRUE(reservation.allows(me, now));
  EXPECT_FALSE(reservation.allows(other, now));
  reservation.give_up(other);
  EXPECT_FALSE(reservation.allows(other, now));
  reservation.give_up(me);
  EXPECT_TRUE(reservation.allows(other, now));
}

TEST(Reservation, LapsesUnlessItIsRenewed) {
  const auto now = sys::Clock::now();
  Reservation reservation;
  reservation.claim(me, now);
  const auto almost = now + Reservation::lease - sys::Duration(1);
  EXPECT_FALSE(reservation.allows(other, almost));
  EXPECT_TRUE(reservation.allows(other, now + Reservation::lease));
  reservation.claim(me, almost);
  EXPECT_FALSE(reservation.allows(other, now + Reservation::lease));
}

TEST(Reservation, IsNotTakenFromAnotherBeforeItLapses) {
  const auto now = sys::Clock::now();
  Reservation reservation;
  reservation.claim(me, now);
  reservation.claim(other, now);
  EXPECT_TRUE(reservation.allows(me, now));
  reservation.claim(other, now + Reservation::lease);
  EXPECT_FALSE(reservation.allows(me, now + Reservation::lease));
}

}  // namespace
}  // namespace forkecho::mp
