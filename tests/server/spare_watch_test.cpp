#include "server/spare_watch.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

constexpr SpareWatch::TimePoint now{1h};

TEST(SpareWatch, LooksAtOnceAndThenNowAndThen) {
  SpareWatch watch;
  EXPECT_TRUE(watch.is_due(now));
  watch.looked(false, now);
  EXPECT_FALSE(watch.is_due(now + SpareWatch::interval - 1ns));
  EXPECT_TRUE(watch.is_due(now + SpareWatch::interval));
  EXPECT_EQ(watch.next(), now + SpareWatch::interval);
  watch.look_at_once();
  EXPECT_TRUE(watch.is_due(now));
}

TEST(SpareWatch, SparesFailWhereSomebodyWaitsFromOneLookToTheNext) {
  SpareWatch watch;
  watch.looked(true, now);
  EXPECT_FALSE(watch.fail()) << "he may have come just now";
  watch.looked(true, now + 1s);
  EXPECT_TRUE(watch.fail());
  watch.looked(false, now + 2s);
  EXPECT_FALSE(watch.fail());
  watch.looked(true, now + 3s);
  EXPECT_FALSE(watch.fail()) << "another one";
}

}  // namespace
}  // namespace forkecho::server
