#include "server/gather_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "server/open_listeners.h"

namespace forkecho::server {
namespace {

using testing::ElementsAre;
using Queue = std::optional<AcceptQueue>;

TEST(GatherStatus, QueuesAreSummedByAddress) {
  const auto sums = sum_by_address(
      {Queue({1, 10}), Queue({2, 10}), Queue({3, 10}), Queue({4, 10}), Queue({5, 10})}, 2);
  ASSERT_EQ(sums.size(), 2U);
  EXPECT_EQ(sums[0]->length, 1U + 3 + 5);
  EXPECT_EQ(sums[0]->limit, 30U);
  EXPECT_EQ(sums[1]->length, 2U + 4);
  EXPECT_EQ(sums[1]->limit, 20U);
}

TEST(GatherStatus, AQueueThatNobodyKnowsIsNoneOrLeftOut) {
  const auto sums = sum_by_address({Queue(), Queue({2, 10}), Queue({3, 10}), Queue()}, 2);
  ASSERT_EQ(sums.size(), 2U);
  EXPECT_FALSE(sums[0]);
  EXPECT_EQ(sums[1]->length, 2U);
}

/// Of generations whose processes were never started.
Status status_of(Options options, std::vector<std::string> listen) {
  options.listen = std::move(listen);
  std::list<Inheritance::Socket> nothing;
  const auto listeners = open_listeners(options, nothing);
  const Generations generations(std::make_shared<const Options>(options), listeners);
  Status status = gather_status(generations, listeners);
  std::vector<std::string> shown;
  const auto addresses = one_of_each_address(options, listeners);
  for (const Listener& listener : addresses) shown.push_back(listener.address().to_string());
  EXPECT_EQ(status.listen, shown);
  add_slots(status, generations, sys::Clock::now());
  EXPECT_TRUE(status.slots.empty());
  EXPECT_EQ(status.slots_omitted, 0U);
  return status;
}

TEST(GatherStatus, ShowsAnAddressOnceThoughItHasManyQueues) {
  Options options;
  options.mode = Mode::pool;
  options.accept = Accept::reuseport;
  options.pool.start = 3;
  options.backlog = 5;
  const Status status = status_of(options, {"127.0.0.1:0", "[::1]:0"});
  ASSERT_EQ(status.listen.size(), 2U);
  ASSERT_EQ(status.accept_queues.size(), 2U);
  for (const Queue& queue : status.accept_queues) {
    ASSERT_TRUE(queue);
    EXPECT_EQ(queue->limit, 3U * 5);
  }
}

TEST(GatherStatus, ThePoolIsShownOfAPoolOnly) {
  Options options;
  options.mode = Mode::pool;
  options.accept = Accept::lock;
  options.pool = {.start = 1, .min_spare = 1, .max_spare = 2, .max = 4};
  const Status pool = status_of(options, {"127.0.0.1:0"});
  ASSERT_TRUE(pool.pool);
  EXPECT_EQ(pool.pool->accept, Accept::lock);
  EXPECT_EQ(pool.pool->sizes.max, 4U);
  EXPECT_EQ(pool.mode, Mode::pool);
  EXPECT_EQ(pool.pid, getpid());
  EXPECT_EQ(pool.generations.size(), 1U);
  options.mode = Mode::fork;
  EXPECT_FALSE(status_of(options, {"127.0.0.1:0"}).pool);
}

}  // namespace
}  // namespace forkecho::server
