#include "server/seat_plan.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

constexpr unsigned cpus = 6;

Options options_of(Mode mode) {
  Options options;
  options.mode = mode;
  options.acceptors = 3;
  options.max_connections = 200;
  options.pool = {.start = 4, .min_spare = 2, .max_spare = 4, .max = 20};
  return options;
}

Options pool_with(Accept accept) {
  Options options = options_of(Mode::pool);
  options.accept = accept;
  return options;
}

Options single_use_pool() {
  Options options = options_of(Mode::pool);
  options.connections_per_worker_life = 1;
  return options;
}

TEST(SeatPlan, ThereAreAsManySeatsAsProcessesMayEverBeAlive) {
  EXPECT_EQ(seat_count(options_of(Mode::iterative), cpus), 1U);
  EXPECT_EQ(seat_count(options_of(Mode::fork), cpus), 3U);
  EXPECT_EQ(seat_count(options_of(Mode::event), cpus), cpus);
  EXPECT_EQ(seat_count(options_of(Mode::pool), cpus), 20U);
  EXPECT_EQ(seat_count(pool_with(Accept::reuseport), cpus), 4U);
  EXPECT_EQ(seat_count(single_use_pool(), cpus), 1U) << "the acceptor's";
}

TEST(SeatPlan, APoolHasNoMoreSeatsThanConnectionsAndOneToTurnAClientAway) {
  Options options = options_of(Mode::pool);
  options.max_connections = 7;
  EXPECT_EQ(seat_count(options, cpus), 7U);
  options.when_full = WhenFull::refuse;
  EXPECT_EQ(seat_count(options, cpus), 8U);
}

TEST(SeatPlan, WhereAProcessIsAConnectionOlderTreesTakePlaces) {
  for (const Options& options : {options_of(Mode::pool), options_of(Mode::iterative)}) {
    EXPECT_EQ(places(options, 5, 0), 5U);
    EXPECT_EQ(places(options, 5, 2), 3U);
    EXPECT_EQ(places(options, 5, 9), 0U);
  }
}

TEST(SeatPlan, ElsewhereTheyTakeNone) {
  for (const Options& options : {options_of(Mode::fork), options_of(Mode::event),
                                 pool_with(Accept::reuseport), single_use_pool()})
    EXPECT_EQ(places(options, 5, 9), 5U);
}

TEST(SeatPlan, AnAcceptorHasAsManyChildrenAsConnectionsAreAllowedAndInAPoolWorkers) {
  EXPECT_EQ(child_limit(options_of(Mode::fork)), 200U);
  Options options = single_use_pool();
  EXPECT_EQ(child_limit(options), 20U);
  options.max_connections = 7;
  EXPECT_EQ(child_limit(options), 7U);
}

TEST(SeatPlan, OnlyAPoolOfSharedQueuesAndLongLivesIsSized) {
  EXPECT_TRUE(is_sized(options_of(Mode::pool)));
  EXPECT_TRUE(is_sized(pool_with(Accept::passing)));
  for (const Options& options :
       {options_of(Mode::iterative), options_of(Mode::fork), options_of(Mode::event),
        pool_with(Accept::reuseport), single_use_pool()})
    EXPECT_FALSE(is_sized(options));
}

TEST(SeatPlan, AProcessIsAConnectionInPoolsWithoutAcceptorAndIterative) {
  for (const Options& options :
       {options_of(Mode::iterative), options_of(Mode::pool), pool_with(Accept::reuseport)})
    EXPECT_TRUE(serves_one_each(options));
  for (const Options& options :
       {options_of(Mode::fork), options_of(Mode::event), single_use_pool()})
    EXPECT_FALSE(serves_one_each(options));
}

TEST(SeatPlan, MoreMayBeOpenThanAreAllowedByThoseJustAccepted) {
  EXPECT_EQ(most_open(options_of(Mode::fork)), 264U);
}

}  // namespace
}  // namespace forkecho::server
