#include "server/contradiction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/listener.h"

namespace forkecho::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Options pool_options() {
  Options options;
  options.mode = Mode::pool;
  options.pool = default_pool_sizes(1);
  return options;
}

Options options_with_own_queues() {
  Options options = pool_options();
  options.accept = Accept::reuseport;
  options.pool = {.start = 4, .min_spare = 4, .max_spare = 4, .max = 4};
  return options;
}

TEST(FindContradiction, TooManyListeners) {
  Options options;
  options.pool = default_pool_sizes(1);
  options.listen.assign(max_listeners, "127.0.0.1:0");
  EXPECT_EQ(find_contradiction(options), "");
  options.listen.emplace_back("127.0.0.1:0");
  EXPECT_THAT(find_contradiction(options), HasSubstr("16"));
}

TEST(FindContradiction, WhoAcceptsIsForThePool) {
  for (const Accept accept : {Accept::lock, Accept::passing}) {
    Options options = pool_options();
    options.accept = accept;
    EXPECT_EQ(find_contradiction(options), "");
    options.connections_per_worker_life = 1;
    EXPECT_THAT(find_contradiction(options), HasSubstr("is for --accept shared"));
    options.connections_per_worker_life = 0;
    options.mode = Mode::fork;
    EXPECT_THAT(find_contradiction(options), HasSubstr("concerns --mode pool only"));
  }
}

TEST(FindContradiction, SeveralAcceptorsAreForForkMode) {
  Options options;
  options.pool = default_pool_sizes(1);
  options.acceptors = 2;
  EXPECT_EQ(find_contradiction(options), "");
  for (const Mode mode : {Mode::iterative, Mode::pool, Mode::event}) {
    options.mode = mode;
    options.acceptors = 2;
    EXPECT_EQ(find_contradiction(options), "--acceptors 2 concerns --mode fork only");
    options.acceptors = 1;
    EXPECT_EQ(find_contradiction(options), "");
  }
}

TEST(FindContradiction, AQueueForEachWorker) {
  EXPECT_EQ(find_contradiction(options_with_own_queues()), "");

  Options options = options_with_own_queues();
  options.pool.max = 5;
  EXPECT_THAT(find_contradiction(options), HasSubstr("fixed size"));

  options = options_with_own_queues();
  options.pool = {};
  EXPECT_THAT(find_contradiction(options), StartsWith("--pool-start 0"));

  options = options_with_own_queues();
  options.max_connections = 3;
  EXPECT_THAT(find_contradiction(options), HasSubstr("--max-connections"));

  options = options_with_own_queues();
  options.when_full = WhenFull::refuse;
  EXPECT_THAT(find_contradiction(options), StartsWith("--when-full refuse"));

  options = options_with_own_queues();
  options.listen.emplace_back("unix:/x");
  EXPECT_THAT(find_contradiction(options), StartsWith("--listen unix:/x"));
}

TEST(FindContradiction, SizesOfThePool) {
  for (const PoolSizes& sizes : {PoolSizes{.start = 0, .min_spare = 1, .max_spare = 1, .max = 0},
                                 {.start = 1, .min_spare = 0, .max_spare = 1, .max = 1},
                                 {.start = 1, .min_spare = 2, .max_spare = 1, .max = 3},
                                 {.start = 4, .min_spare = 1, .max_spare = 2, .max = 3},
                                 {.start = 1, .min_spare = 4, .max_spare = 4, .max = 3}}) {
    Options options = pool_options();
    options.pool = sizes;
    EXPECT_THAT(find_contradiction(options), StartsWith("--pool-")) << sizes.start;
  }
}

TEST(FindContradiction, LivesOfWorkers) {
  Options options = pool_options();
  options.life_jitter = 3;
  EXPECT_THAT(find_contradiction(options), StartsWith("--life-jitter"));
  options.connections_per_worker_life = 10;
  EXPECT_EQ(find_contradiction(options), "");
  options.mode = Mode::event;
  EXPECT_THAT(find_contradiction(options), StartsWith("--connections-per-worker-life"));
}

TEST(FindUnusable, AddressesThatCannotBeResolvedOrAreThereTwice) {
  Options options;
  options.listen = {"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:9001", "[::1]:9001", "unix:/x"};
  EXPECT_EQ(find_unusable(options), "");
  options.listen.emplace_back("localhost:9001");
  EXPECT_THAT(find_unusable(options), HasSubstr("twice"));
  options.listen = {"no-such-host.invalid:9001"};
  EXPECT_THAT(find_unusable(options), HasSubstr("no-such-host.invalid"));
}

}  // namespace
}  // namespace forkecho::server
