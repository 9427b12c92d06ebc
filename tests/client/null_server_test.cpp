#include "client/null_server.h"

#include <gtest/gtest.h>

#include <set>

#include "client/load.h"

namespace forkecho::client {
namespace {

TEST(NullServer, SendsBackWhatItReads) {
  const NullServer server(2);
  LoadPlan plan;
  set_targets(plan, server.targets());
  plan.requests = 500;
  plan.warmup = sys::Duration::zero();
  plan.expect = Expect::none;
  plan.payload = Payload::random;
  plan.size = 100'000;
  plan.depth = 3;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 500U);
  EXPECT_EQ(result.verification.wrong(), 0U);
}

TEST(NullServer, EachOfItsProcessesHasAPortOfItsOwn) {
  const NullServer server(3);
  const std::set<std::string> targets(server.targets().begin(), server.targets().end());
  EXPECT_EQ(targets.size(), 3U);
}

}  // namespace
}  // namespace forkecho::client
