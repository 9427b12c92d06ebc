#include "client/null_server.h"

#include <gtest/gtest.h>

#include "client/load.h"

namespace forkecho::client {
namespace {

TEST(NullServer, SendsBackWhatItReads) {
  const NullServer server(2);
  LoadPlan plan;
  plan.target = server.target();
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

}  // namespace
}  // namespace forkecho::client
