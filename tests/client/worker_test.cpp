#include "client/worker.h"

#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

TEST(Worker, SharesAreEvenAndAddUp) {
  for (const std::size_t connections : {1U, 7U, 10U, 1000U}) {
    for (const unsigned workers : {1U, 3U, 7U}) {
      std::size_t sum = 0;
      for (unsigned index = 0; index < workers; ++index) {
        const ConnectionShare share = share_of(connections, workers, index);
        EXPECT_LE(share.count - connections / workers, 1U);
        EXPECT_EQ(share.first, sum);
        sum += share.count;
      }
      EXPECT_EQ(sum, connections);
    }
  }
  EXPECT_EQ(share_of(10, 3, 0).count, 4U);
  EXPECT_EQ(share_of(10, 3, 2).count, 3U);
}

}  // namespace
}  // namespace forkecho::client
