#include "server/restart_pause.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

/// Time passes when a test says so.
class RestartPauseTest : public testing::Test {
 protected:
  /// Of a process that was started since the last one ended.
  Backoff::Seconds after_end_by(int exitcode, bool others_are_well = false) {
    return pause_.after_early_end(
        {.exitcode = exitcode, .others_are_well = others_are_well, .started = now_}, now_);
  }
  const sys::Clock::time_point now_ = sys::Clock::now();
  RestartPause pause_;
};

TEST_F(RestartPauseTest, IsOverAtFirst) {
  EXPECT_TRUE(pause_.is_over(now_));
}

TEST_F(RestartPauseTest, IsASecondWhereTheSystemRefused) {
  for (int i = 0; i < 3; ++i) pause_.after_refusal(now_);
  EXPECT_FALSE(pause_.is_over(now_ + 1s - 1ns));
  EXPECT_TRUE(pause_.is_over(now_ + 1s));
}

TEST_F(RestartPauseTest, GrowsWithEachEarlyEnd) {
  EXPECT_EQ(after_end_by(1), 2s);
  EXPECT_FALSE(pause_.is_over(now_ + 2s - 1ns));
  EXPECT_TRUE(pause_.is_over(now_ + 2s));
  EXPECT_EQ(after_end_by(1), 4s);
  EXPECT_FALSE(pause_.is_over(now_ + 4s - 1ns));
}

TEST_F(RestartPauseTest, BeginsAnewAfterALife) {
  EXPECT_EQ(after_end_by(1), 2s);
  EXPECT_EQ(after_end_by(1), 4s);
  pause_.after_life();
  EXPECT_EQ(after_end_by(1), 2s);
}

TEST_F(RestartPauseTest, IsNotForThoseWhoAreVictims) {
  for (const int exitcode : {-SIGKILL, lock_broken}) {
    EXPECT_EQ(after_end_by(exitcode, true), 0s);
    EXPECT_TRUE(pause_.is_over(now_));
  }
  EXPECT_EQ(after_end_by(-SIGSEGV, true), 2s);
}

TEST_F(RestartPauseTest, CountsWhoeverWasStartedBeforeTheLastEndOnce) {
  EXPECT_EQ(after_end_by(1), 2s);
  EXPECT_EQ(pause_.after_early_end({.exitcode = 1, .others_are_well = false, .started = now_ - 1ns},
                                   now_ + 1s),
            0s);
  EXPECT_TRUE(pause_.is_over(now_ + 2s)) << "it adds nothing";
  EXPECT_EQ(
      pause_.after_early_end({.exitcode = 1, .others_are_well = false, .started = now_}, now_ + 1s),
      0s);
}

}  // namespace
}  // namespace forkecho::server
