#include "server/shutdown.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using Owner = Listener::Owner;

TEST(DoorsBehind, AreClosedOnlyByWhomTheyBelongTo) {
  EXPECT_EQ(doors_behind(true, Owner::daemon), DoorsBehind::closed);
  EXPECT_EQ(doors_behind(false, Owner::daemon), DoorsBehind::left_open);
  EXPECT_EQ(doors_behind(true, Owner::service_manager), DoorsBehind::left_open);
  EXPECT_EQ(doors_behind(false, Owner::service_manager), DoorsBehind::left_open);
}

TEST(DrainDeadline, IsAfterTheLimitAndWithoutOneNever) {
  const auto now = sys::Clock::now();
  EXPECT_EQ(drain_deadline(5s, now).when(), now + 5s);
  EXPECT_TRUE(drain_deadline(0s, now).is_never());
  EXPECT_TRUE(drain_deadline(sys::Duration::max(), now).is_never());
}

/// Of a daemon whose processes have all gone; time passes when a test says so.
class ShutdownTest : public testing::Test {
 protected:
  ShutdownTest() {
    options_->mode = Mode::fork;
    options_->timeouts.drain = 30s;
    listeners_.push_back(Listener::open(tests::address_of("127.0.0.1:0"), 8));
  }
  Shutdown& shutdown() {
    if (!shutdown_) {
      generations_.emplace(options_, listeners_);
      shutdown_.emplace(*generations_, listeners_);
    }
    return *shutdown_;
  }
  bool is_refused() const {
    return !tests::try_connect(listeners_[0].address()) && errno == ECONNREFUSED;
  }

  std::shared_ptr<Options> options_ = std::make_shared<Options>();
  std::vector<Listener> listeners_;
  std::optional<Generations> generations_;
  std::optional<Shutdown> shutdown_;
  const sys::Clock::time_point start_ = sys::Clock::now();
};

TEST_F(ShutdownTest, ADrainShutsTheDoorsWhenNobodyWaits) {
  shutdown().begin_drain(DoorsBehind::closed, start_);
  EXPECT_FALSE(shutdown().doors_are_shut());
  EXPECT_EQ(shutdown().keep_going(State::draining, DoorsBehind::closed, start_ + 199ms),
            std::nullopt);
  EXPECT_FALSE(shutdown().doors_are_shut());
  EXPECT_EQ(shutdown().keep_going(State::draining, DoorsBehind::closed, start_ + 200ms),
            std::nullopt);
  EXPECT_TRUE(shutdown().doors_are_shut());
  EXPECT_TRUE(is_refused());
}

TEST_F(ShutdownTest, WhoseDoorsOthersNeedLeavesThemOpen) {
  shutdown().begin_drain(DoorsBehind::left_open, start_);
  EXPECT_TRUE(shutdown().doors_are_shut()) << "there are none to shut";
  shutdown().keep_going(State::draining, DoorsBehind::left_open, start_ + 1s);
  shutdown().begin_finish(DoorsBehind::left_open, start_ + 2s);
  shutdown().end_at_once(DoorsBehind::left_open, start_ + 3s);
  EXPECT_TRUE(tests::try_connect(listeners_[0].address()));
}

TEST_F(ShutdownTest, TheDrainHasALimitAndTheFinishToo) {
  shutdown().begin_drain(DoorsBehind::closed, start_);
  const auto step = [&](State state, sys::Duration passed) {
    return shutdown().keep_going(state, DoorsBehind::closed, start_ + passed);
  };
  EXPECT_EQ(step(State::draining, 30s - 1ns), std::nullopt);
  EXPECT_EQ(step(State::draining, 30s), LifeEvent::drain_timeout);
  shutdown().begin_finish(DoorsBehind::closed, start_ + 30s);
  EXPECT_EQ(step(State::finishing, 35s - 1ns), std::nullopt);
  EXPECT_EQ(step(State::finishing, 35s), LifeEvent::finish_timeout);
  shutdown().end_at_once(DoorsBehind::closed, start_ + 35s);
  EXPECT_EQ(step(State::ending, 1h), std::nullopt);
}

TEST_F(ShutdownTest, WithoutALimitADrainNeverTimesOut) {
  options_->timeouts.drain = 0s;
  shutdown().begin_drain(DoorsBehind::closed, start_);
  EXPECT_EQ(shutdown().keep_going(State::draining, DoorsBehind::closed, start_ + 10000h),
            std::nullopt);
}

TEST_F(ShutdownTest, AtOnceTheDoorIsShutForGoodAndTheDyingHaveAMoment) {
  EXPECT_FALSE(shutdown().has_waited_for_the_dying(start_ + 1h)) << "nobody was told to";
  shutdown().end_at_once(DoorsBehind::closed, start_);
  EXPECT_TRUE(is_refused());
  EXPECT_FALSE(shutdown().has_waited_for_the_dying(start_ + 2s - 1ns));
  EXPECT_TRUE(shutdown().has_waited_for_the_dying(start_ + 2s));
}

TEST_F(ShutdownTest, NothingIsDoneWhileTheDaemonRuns) {
  for (const State state : {State::starting, State::running})
    EXPECT_EQ(shutdown().keep_going(state, DoorsBehind::closed, start_ + 1h), std::nullopt);
  EXPECT_TRUE(tests::try_connect(listeners_[0].address()));
}

}  // namespace
}  // namespace forkecho::server
