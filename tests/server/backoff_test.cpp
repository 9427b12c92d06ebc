#include "server/backoff.h"

#include <gtest/gtest.h>

#include <vector>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

std::vector<Backoff::Seconds> pauses_after(Backoff& backoff, int failures, bool by_signal) {
  std::vector<Backoff::Seconds> pauses;
  for (int i = 0; i < failures; ++i) pauses.push_back(backoff.failed(by_signal));
  return pauses;
}

TEST(Backoff, DoublesFromTwoSecondsToSixty) {
  Backoff backoff;
  EXPECT_EQ(pauses_after(backoff, 7, false),
            (std::vector<Backoff::Seconds>{2s, 4s, 8s, 16s, 32s, 60s, 60s}));
}

TEST(Backoff, ForgivesThreeDeathsBySignal) {
  Backoff backoff;
  EXPECT_EQ(pauses_after(backoff, 5, true), (std::vector<Backoff::Seconds>{0s, 0s, 0s, 2s, 4s}));
}

TEST(Backoff, ForgivesNoSignalOnceItHasPaused) {
  Backoff backoff;
  EXPECT_EQ(backoff.failed(false), 2s);
  EXPECT_EQ(backoff.failed(true), 4s);
}

TEST(Backoff, StartsAnewAfterASuccess) {
  Backoff backoff;
  pauses_after(backoff, 6, true);
  backoff.succeeded();
  EXPECT_EQ(pauses_after(backoff, 4, true), (std::vector<Backoff::Seconds>{0s, 0s, 0s, 2s}));
}

}  // namespace
}  // namespace forkecho::server
