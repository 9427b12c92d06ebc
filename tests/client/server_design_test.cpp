#include "client/server_design.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ServerDesign, AreTheseInThisOrder) {
  std::vector<std::string_view> names;
  for (const auto& design : all_server_designs()) names.push_back(design.name);
  EXPECT_THAT(names, ElementsAre("iterative", "fork", "pool-shared", "pool-lock", "pool-passing",
                                 "pool-reuseport", "pool-single-use", "event"));
  EXPECT_EQ(find_server_design("prefork"), nullptr);
}

TEST(ServerDesign, OneThatServesOneAtATimeCannotHoldTwo) {
  const auto& iterative = *find_server_design("iterative");
  EXPECT_FALSE(why_not_applicable(iterative, ConnectionUse::one_request, 16));
  EXPECT_FALSE(why_not_applicable(iterative, ConnectionUse::held, 1));
  EXPECT_THAT(why_not_applicable(iterative, ConnectionUse::held, 2),
              testing::Optional(HasSubstr("2 are to be held")));
  EXPECT_FALSE(why_not_applicable(*find_server_design("fork"), ConnectionUse::held, 1000));
}

TEST(ServerDesign, WithAListenerForEachWorkerDoesNotHoldConnections) {
  const auto& reuseport = *find_server_design("pool-reuseport");
  EXPECT_FALSE(why_not_applicable(reuseport, ConnectionUse::one_request, 16));
  EXPECT_FALSE(why_not_applicable(reuseport, ConnectionUse::held, 1));
  EXPECT_THAT(why_not_applicable(reuseport, ConnectionUse::held, 2),
              testing::Optional(HasSubstr("some would wait")));
}

TEST(ServerDesign, NeedsItsOptionsInTheProgram) {
  const auto& lock = *find_server_design("pool-lock");
  const std::string help = "  --mode MODE   How\n  --accept-rate N   x\n";
  EXPECT_EQ(why_not_offered(lock, help), "this forkechod has no --accept");
  EXPECT_EQ(why_not_offered(lock, help + "  --accept WHO   Who accepts\n"), std::nullopt);
  EXPECT_EQ(why_not_offered(*find_server_design("fork"), help), std::nullopt);
  EXPECT_EQ(why_not_offered(lock, ""), std::nullopt);
}

TEST(ServerDesign, IsStartedWithItsDefaults) {
  EXPECT_THAT(options_for(*find_server_design("pool-single-use"), ConnectionUse::one_request, 16),
              ElementsAre("--mode", "pool", "--connections-per-worker-life", "1"));
  EXPECT_THAT(options_for(*find_server_design("event"), ConnectionUse::held, 16),
              ElementsAre("--mode", "event"));
}

TEST(ServerDesign, APoolHasAWorkerForEachHeldConnection) {
  EXPECT_THAT(options_for(*find_server_design("pool-shared"), ConnectionUse::held, 16),
              ElementsAre("--mode", "pool", "--pool-start", "16", "--pool-max", "16",
                          "--pool-max-spare", "16"));
}

}  // namespace
}  // namespace forkecho::client
