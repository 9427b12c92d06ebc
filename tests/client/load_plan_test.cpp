#include "client/load_plan.h"

#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

TEST(LoadPlan, NamesAreReadBackAsTheyAreWritten) {
  for (const auto value : {Workload::rr, Workload::crr})
    EXPECT_EQ(parse_workload(to_string(value)), value);
  for (const auto value : {Payload::ascii, Payload::unicode})
    EXPECT_EQ(parse_payload(to_string(value)), value);
  for (const auto value : {Expect::unicode, Expect::ascii, Expect::none}) {
    EXPECT_EQ(parse_expect(to_string(value)), value);
  }
  EXPECT_EQ(to_string(Workload::crr), "crr");
}

TEST(LoadPlan, OtherNamesAreNone) {
  EXPECT_FALSE(parse_workload("streams"));
  EXPECT_FALSE(parse_arrivals("Poisson"));
  EXPECT_FALSE(parse_close("FIN"));
  EXPECT_FALSE(parse_payload(""));
  EXPECT_FALSE(parse_expect("ASCII"));
}

TEST(LoadPlan, TargetsAreAllThatAreSet) {
  LoadPlan plan;
  set_targets(plan, {"127.0.0.1:1", "[::1]:2", "unix:/3"});
  EXPECT_EQ(plan.target, "127.0.0.1:1");
  EXPECT_EQ(plan.more_targets, (std::vector<std::string>{"[::1]:2", "unix:/3"}));
  set_targets(plan, {"127.0.0.1:4"});
  EXPECT_EQ(plan.target, "127.0.0.1:4");
  EXPECT_TRUE(plan.more_targets.empty());
}

TEST(LoadPlan, RequestsOnEachConnectionFollowTheWorkload) {
  LoadPlan plan;
  EXPECT_EQ(requests_on_each(plan), 0U);
  plan.workload = Workload::crr;
  EXPECT_EQ(requests_on_each(plan), 1U);
  plan.requests_per_connection = 7;
  EXPECT_EQ(requests_on_each(plan), 7U);
}

TEST(LoadPlan, StreamHasAsManyInFlightAsTheSocketsHold) {
  LoadPlan plan;
  plan.depth = 3;
  EXPECT_EQ(places_on_each(plan), 3U);
  plan.workload = Workload::stream;
  plan.size = 1 << 20;
  EXPECT_EQ(places_on_each(plan), 16U);
  plan.size = 1;
  EXPECT_EQ(places_on_each(plan), 65'536U);
  plan.size = 256 << 20;
  EXPECT_EQ(places_on_each(plan), 2U);
}

TEST(LoadPlan, ContradictionsAreFound) {
  LoadPlan good;
  EXPECT_EQ(find_contradiction(good), "");
  LoadPlan random = good;
  random.payload = Payload::random;
  EXPECT_NE(find_contradiction(random), "");
  random.expect = Expect::none;
  EXPECT_EQ(find_contradiction(random), "");
  LoadPlan stream = good;
  stream.workload = Workload::stream;
  EXPECT_EQ(find_contradiction(stream), "");
  stream.rate = 5;
  EXPECT_NE(find_contradiction(stream), "");
  stream.rate = 0;
  stream.depth = 2;
  EXPECT_NE(find_contradiction(stream), "");
  LoadPlan targets = good;
  targets.connections = 1;
  targets.more_targets = {"127.0.0.1:1"};
  EXPECT_NE(find_contradiction(targets), "");
}

TEST(LoadPlan, WorkersAreAsManyAsProcessorsButNeverMoreThanConnections) {
  const auto workers = [](unsigned asked, unsigned connections, unsigned processors) {
    LoadPlan plan;
    plan.workers = asked;
    plan.connections = connections;
    return worker_count(plan, processors);
  };
  EXPECT_EQ(workers(0, 10, 4), 4U);
  EXPECT_EQ(workers(0, 3, 4), 3U);
  EXPECT_EQ(workers(7, 10, 4), 7U);
  EXPECT_EQ(workers(7, 5, 4), 5U);
  EXPECT_EQ(workers(0, 10, 0), 1U);
}

TEST(LoadPlan, APinnedProcessorHasAWorker) {
  LoadPlan plan;
  plan.pins = *ProcessorPins::parse("server:0,client:1-3");
  EXPECT_EQ(worker_count(plan, 8), 3U);
  plan.workers = 5;
  EXPECT_EQ(worker_count(plan, 8), 5U);
}

}  // namespace
}  // namespace forkecho::client
