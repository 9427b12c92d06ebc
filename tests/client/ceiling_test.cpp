#include "client/ceiling.h"

#include <gtest/gtest.h>

#include "common/mp/process.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

TEST(Ceiling, IsOfTheSameLoadInAClosedLoop) {
  LoadPlan plan;
  plan.target = "unix:/nonexistent";
  plan.more_targets = {"127.0.0.1:1"};
  plan.rate = 5;
  plan.requests = 7;
  plan.size = 100;
  plan.depth = 3;
  plan.workload = Workload::crr;
  plan.think = 1s;
  plan.source = "127.0.0.0/8";
  const LoadPlan closed = ceiling_plan(plan);
  EXPECT_FALSE(is_open_loop(closed));
  EXPECT_EQ(closed.requests, 0U);
  EXPECT_EQ(closed.size.fixed(), 100U);
  EXPECT_EQ(closed.depth, 3U);
  EXPECT_EQ(closed.workload, Workload::crr);
  EXPECT_EQ(closed.think, 0s);
  EXPECT_EQ(closed.expect, Expect::none);
  EXPECT_TRUE(closed.more_targets.empty());
  EXPECT_TRUE(closed.source.empty());
}

TEST(Ceiling, IsMeasuredWithEveryWorkloadAndLeavesNoProcess) {
  for (const Workload workload : {Workload::rr, Workload::crr, Workload::stream}) {
    LoadPlan plan;
    plan.workload = workload;
    plan.workers = 2;
    const Ceiling ceiling = measure_ceiling(plan);
    EXPECT_GT(ceiling.rps, 0);
    EXPECT_NE(ceiling.in_words.find(to_string(workload)), std::string::npos);
  }
  EXPECT_TRUE(mp::active_children().empty());
}

}  // namespace
}  // namespace forkecho::client
