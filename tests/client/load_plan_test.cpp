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
  EXPECT_FALSE(parse_workload("stream"));
  EXPECT_FALSE(parse_payload(""));
  EXPECT_FALSE(parse_expect("ASCII"));
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

}  // namespace
}  // namespace forkecho::client
