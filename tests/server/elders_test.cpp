#include "server/elders.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

std::shared_ptr<GenerationPages> pages_of(std::size_t seats) {
  return std::make_shared<GenerationPages>(seats + 1);
}

TEST(Elders, WhatIsActiveIsTheSumOverAllPagesTheSupervisorsIncluded) {
  const auto first = pages_of(2);
  const auto second = pages_of(1);
  EXPECT_EQ(active_in(Elders{}), 0U);
  EXPECT_EQ(active_in(Elders{first, second}), 0U);
  (*first)[0].book.accepted.add(5);
  (*first)[0].book.record(Ending::served);
  (*first)[1].book.accepted.add(2);
  (*first)[2].book.accepted.set(3);
  (*second)[0].book.accepted.add(10);
  EXPECT_EQ(active_in(*first), 9U);
  EXPECT_EQ(active_in(Elders{first, second}), 19U);
}

TEST(Elders, AcceptAsLongAsOneDoorIsOpen) {
  const auto pages = pages_of(2);
  const Elders elders{pages_of(1), pages};
  EXPECT_FALSE(still_accept({}));
  EXPECT_FALSE(still_accept(elders)) << "nobody has opened yet";
  (*pages)[1].door = Door::open;
  EXPECT_TRUE(still_accept(elders));
  (*pages)[1].door = Door::shut;
  EXPECT_FALSE(still_accept(elders));
}

TEST(Elders, NobodyWaitsForDoorsThatTheSupervisorHasGivenUp) {
  const auto pages = pages_of(1);
  (*pages)[0].door = Door::open;
  (*pages)[1].door = Door::shut;
  EXPECT_FALSE(still_accept({pages}));
}

TEST(Elders, WhatIsLeftIsNeverLessThanNothing) {
  EXPECT_EQ(what_is_left(10, 3), 7U);
  EXPECT_EQ(what_is_left(10, 10), 0U);
  EXPECT_EQ(what_is_left(10, 11), 0U);
}

}  // namespace
}  // namespace forkecho::server
