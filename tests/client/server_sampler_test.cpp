#include "client/server_sampler.h"

#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

TreeUsage usage(double user, double system, std::vector<pid_t> pids, std::uint64_t switches) {
  return {.cpu_user_s = user, .cpu_system_s = system, .pids = pids, .context_switches = switches};
}

TEST(UsageBetween, IsWhatCameSince) {
  const ServerSample sample = usage_between(usage(1, 2, {7, 8}, 10), usage(1.5, 4, {7, 8}, 35));
  EXPECT_EQ(sample.cpu_user_s, 0.5);
  EXPECT_EQ(sample.cpu_system_s, 2);
  EXPECT_EQ(sample.context_switches, 25U);
}

TEST(UsageBetween, HasNoContextSwitchesWhenProcessesCameOrWent) {
  EXPECT_FALSE(usage_between(usage(1, 2, {7}, 10), usage(1, 2, {7, 8}, 35)).context_switches);
}

TEST(AddCounts, TellsForksAndFairness) {
  ServerSample sample{.context_switches = {}, .processes = {}, .pss_bytes = {}};
  add_counts(sample, {.forked = 3, .connections = {{7, 10}, {8, 0}, {9, 5}}},
             {.forked = 8, .connections = {{7, 13}, {8, 1}, {11, 100}}});
  EXPECT_EQ(sample.forks, 5U);
  EXPECT_EQ(sample.fairness, 0.8) << "3 and 1: the others were not there all the time";
}

TEST(AddCounts, LeavesOpenWhatTheServerDidNotSay) {
  ServerSample sample{.context_switches = {}, .processes = {}, .pss_bytes = {}};
  add_counts(sample, {}, {.forked = 8, .connections = {{7, 13}}});
  EXPECT_FALSE(sample.forks);
  EXPECT_FALSE(sample.fairness);
}

TEST(ServerSampler, LooksIntoARunningProcess) {
  ServerSampler sampler(getpid(), sys::Duration::zero());
  const auto sample = sampler.finish();
  ASSERT_TRUE(sample);
  EXPECT_GT(sample->pss_idle_bytes, 1000U);
  EXPECT_TRUE(sample->machine_switches);
}

}  // namespace
}  // namespace forkecho::client
