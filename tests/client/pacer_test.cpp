#include "client/pacer.h"

#include <gtest/gtest.h>

#include <functional>

#include "common/mp/raw_shared.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

/// A pacer whose clock begins at `start`, and which is asked for what has happened by then.
struct Paced {
  LoadPlan plan;
  RunClock clock;
  mp::RawValue<RunControl> control{};
  mp::RawValue<WorkerBooks> books{};
  EventLoop loop{};
  Pacer pacer;
  Waiting waiting{};
  Place place{.waiting = &waiting, .free = true};

  explicit Paced(const LoadPlan& wanted, Moment start = Moment(1h))
      : plan(wanted),
        clock{.start = start,
              .measure_start = start + plan.warmup,
              .measure_end =
                  plan.requests == 0 ? start + plan.warmup + plan.duration : Moment::max()},
        pacer(plan, clock, *control, *books, loop, {.workers = 1, .worker = 0}) {
    place.free_since = start;
    pacer.add(place);
  }
  std::optional<Ticket> take(sys::Duration at) { return pacer.take(place, clock.start + at); }
};

LoadPlan at_rate(double rate) {
  LoadPlan plan;
  plan.rate = rate;
  plan.warmup = 1s;
  plan.duration = 2s;
  return plan;
}

TEST(Pacer, ClosedLoopMaySendAtOnceUntilTheEnd) {
  LoadPlan plan = at_rate(0);
  Paced paced(plan);
  const auto warm = paced.take(0s);
  ASSERT_TRUE(warm);
  EXPECT_FALSE(warm->measured);
  const auto measured = paced.take(1s);
  ASSERT_TRUE(measured);
  EXPECT_TRUE(measured->measured);
  EXPECT_EQ(measured->intended, paced.clock.measure_start);
  EXPECT_FALSE(paced.take(3s));
  EXPECT_TRUE(paced.pacer.over(paced.clock.measure_end));
}

TEST(Pacer, ClosedLoopByNumberCountsOverAll) {
  LoadPlan plan = at_rate(0);
  plan.requests = 2;
  Paced paced(plan);
  EXPECT_TRUE(paced.take(0s));  // of the warm-up: not counted
  EXPECT_TRUE(paced.take(1s));
  paced.control->requests_taken = 2;
  EXPECT_TRUE(paced.pacer.over(paced.clock.start + 2s));
  EXPECT_FALSE(paced.take(2s));
}

TEST(Pacer, OpenLoopGivesWhatIsDueAndNothingBefore) {
  Paced paced(at_rate(10));
  const auto first = paced.take(1ms);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->intended, paced.clock.start);
  EXPECT_FALSE(paced.take(99ms));
  EXPECT_TRUE(paced.take(100ms));
}

TEST(Pacer, WarmUpIsForgottenWithItsBacklog) {
  Paced paced(at_rate(10));
  ASSERT_TRUE(paced.take(0s));
  const auto ticket = paced.take(1s + 50ms);  // nine of the warm-up were never sent
  ASSERT_TRUE(ticket);
  EXPECT_TRUE(ticket->measured);
  EXPECT_EQ(ticket->intended, paced.clock.measure_start);
  EXPECT_EQ(ticket->number, 0U);
}

TEST(Pacer, LateRequestsKeepTheirIntendedStart) {
  Paced paced(at_rate(10));
  for (int i = 0; i < 20; ++i) {
    const auto ticket = paced.take(2s + 950ms);
    ASSERT_TRUE(ticket) << i;
    EXPECT_EQ(ticket->intended, paced.clock.measure_start + i * 100ms);
  }
  EXPECT_FALSE(paced.take(2s + 950ms));
  EXPECT_TRUE(paced.pacer.over(paced.clock.start + 2s + 950ms));
}

TEST(Pacer, PossibleIsWhenThereWasAPlace) {
  Paced paced(at_rate(10));
  paced.place.free_since = paced.clock.start + 1s + 250ms;
  EXPECT_EQ(paced.take(1s + 300ms)->possible, paced.clock.start + 1s + 250ms);  // due at 1.0 s
  paced.take(1s + 300ms);                                                       // 1.1 s
  paced.take(1s + 300ms);                                                       // 1.2 s
  EXPECT_EQ(paced.take(1s + 350ms)->possible, paced.clock.start + 1s + 300ms);  // due at 1.3 s
}

TEST(Pacer, PlaceThatWasFreeInLineCountsForAllPlaces) {
  Paced paced(at_rate(10));
  paced.take(1s);
  EXPECT_FALSE(paced.take(1s + 10ms));  // it stands in line, free since the start
  Waiting other_waiting;
  Place other{
      .waiting = &other_waiting, .free = true, .free_since = paced.clock.start + 1s + 400ms};
  const auto ticket = paced.pacer.take(other, paced.clock.start + 1s + 400ms);
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->possible, paced.clock.start + 1s + 100ms);
}

/// Lets a real second pass in which nobody takes anything, or somebody takes what comes.
std::uint64_t run_for_a_moment(Paced& paced, bool takes) {
  std::uint64_t taken = 0;
  bool ended = false;
  const auto connection = [&]() -> Detached {
    for (;;) {
      const Moment now = sys::Clock::now();
      if (const auto ticket = paced.pacer.take(paced.place, now)) {
        if (ticket->measured) ++taken;
        continue;
      }
      if (paced.pacer.over(now)) co_return;
      co_await paced.loop.until(paced.waiting, nudged, Moment::max());
      paced.waiting.used_up(nudged);
    }
  };
  if (takes) connection();
  paced.pacer.start([&] {
    ended = true;
    paced.loop.stop();
  });
  paced.loop.run();
  EXPECT_TRUE(ended);
  return taken;
}

LoadPlan short_plan() {
  LoadPlan plan = at_rate(1000);
  plan.warmup = 50ms;
  plan.duration = 100ms;
  return plan;
}

TEST(Pacer, WakesWhoWaitsForEachRequest) {
  Paced paced(short_plan(), sys::Clock::now());
  EXPECT_EQ(run_for_a_moment(paced, true), 100U);
  EXPECT_EQ(paced.books->shed_by_server.get() + paced.books->shed_by_generator.get(), 0U);
}

TEST(Pacer, WhatFoundNoPlaceIsShedByTheServer) {
  Paced paced(short_plan(), sys::Clock::now());
  paced.place.free = false;
  EXPECT_EQ(run_for_a_moment(paced, false), 0U);
  EXPECT_EQ(paced.books->shed_by_server.get(), 100U);
  EXPECT_EQ(paced.books->shed_by_generator.get(), 0U);
  EXPECT_GE(sys::Clock::now(), paced.clock.measure_end);  // it was given time to catch up
}

TEST(Pacer, StopEndsItAndOnlyWhatWasDueWasScheduled) {
  LoadPlan plan = short_plan();
  plan.duration = 1h;
  Paced paced(plan, sys::Clock::now() - 80ms);
  paced.place.free = false;
  paced.control->stop = true;
  run_for_a_moment(paced, false);
  EXPECT_EQ(paced.books->shed_by_server.get(), 0U);  // it had not left the warm-up's plan
}

TEST(Pacer, LostTicketsAreShedForTheReasonTheyWereLost) {
  Paced paced(at_rate(10));
  const auto ticket = paced.take(1s);
  paced.pacer.lost(*ticket, true);
  paced.pacer.lost(*ticket, false);
  Ticket of_warm_up = *ticket;
  of_warm_up.measured = false;
  paced.pacer.lost(of_warm_up, true);
  EXPECT_EQ(paced.books->shed_by_generator.get(), 1U);
  EXPECT_EQ(paced.books->shed_by_server.get(), 1U);
}

TEST(Pacer, TimeToCatchUpIsATenth) {
  LoadPlan plan;
  plan.duration = 10s;
  EXPECT_EQ(time_to_catch_up(plan), 1s);
  plan.duration = 100ms;
  EXPECT_EQ(time_to_catch_up(plan), 100ms);
  plan.timeout = 20ms;
  EXPECT_EQ(time_to_catch_up(plan), 20ms);
}

}  // namespace
}  // namespace forkecho::client
