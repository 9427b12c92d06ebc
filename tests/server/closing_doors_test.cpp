#include "server/closing_doors.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using tests::address_of;
using Outcome = AcceptResult::Outcome;

/// Time passes when a test says so.
class ClosingDoorsTest : public testing::Test {
 protected:
  Listener first_ = Listener::open(address_of("127.0.0.1:0"), 8);
  Listener second_ = Listener::open(address_of("127.0.0.1:0"), 8);
  const sys::Clock::time_point start_ = sys::Clock::now();
  ClosingDoors doors_;
};

TEST_F(ClosingDoorsTest, OfNoneAllAreShut) {
  EXPECT_TRUE(doors_.empty());
  doors_.watch(start_ + 1h);
  EXPECT_TRUE(doors_.empty());
}

TEST_F(ClosingDoorsTest, AreShutWhenNobodyHasComeForAWhile) {
  doors_.close(first_, start_);
  EXPECT_EQ(first_.accept().outcome, Outcome::none);  // it does not block any more
  doors_.watch(start_ + ClosingDoors::patience - 1ns);
  EXPECT_FALSE(doors_.empty());
  EXPECT_EQ(first_.accept().outcome, Outcome::none);
  doors_.watch(start_ + ClosingDoors::patience);
  EXPECT_TRUE(doors_.empty());
  EXPECT_EQ(first_.accept().outcome, Outcome::closed);
}

TEST_F(ClosingDoorsTest, WaitForThoseWhoWaitAtAnyOfThem) {
  const sys::Descriptor client = tests::connect_to(second_.address());
  doors_.close(first_, start_);
  doors_.close(second_, start_);
  doors_.watch(start_ + 1h);
  EXPECT_FALSE(doors_.empty());
  EXPECT_EQ(second_.accept().outcome, Outcome::client);
  doors_.watch(start_ + 1h + ClosingDoors::patience - 1ns);
  EXPECT_FALSE(doors_.empty());
  doors_.watch(start_ + 1h + ClosingDoors::patience);
  EXPECT_TRUE(doors_.empty());
  for (const Listener* listener : {&first_, &second_}) {
    EXPECT_FALSE(tests::try_connect(listener->address()));
    EXPECT_EQ(errno, ECONNREFUSED);
  }
}

TEST_F(ClosingDoorsTest, LeaveOthersAlone) {
  doors_.close(first_, start_);
  doors_.watch(start_ + 1h);
  EXPECT_TRUE(doors_.empty());
  EXPECT_TRUE(tests::try_connect(second_.address()));
}

}  // namespace
}  // namespace forkecho::server
