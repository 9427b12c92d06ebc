#include "client/conversation.h"

#include <gtest/gtest.h>

#include "client/exit_code.h"
#include "client/load.h"
#include "tests/support/echo_double.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::EchoDouble;

LoadPlan plan_for(const EchoDouble& server, Workload workload, std::uint64_t requests) {
  LoadPlan plan;
  plan.target = server.target();
  plan.connections = 2;
  plan.workers = 1;
  plan.requests = requests;
  plan.warmup = 0ns;
  plan.workload = workload;
  return plan;
}

void expect_balance(const RunResult& result) {
  EXPECT_EQ(result.requests.scheduled, result.requests.sent + result.requests.shed);
  EXPECT_EQ(result.requests.sent, result.requests.completed + result.requests.failed.all());
  EXPECT_EQ(result.from_send->count(), result.requests.completed);
  EXPECT_EQ(result.verification.checked, result.requests.completed);
}

void expect_books_agree(const RunResult& result, const EchoDouble& server) {
  EXPECT_EQ(result.totals.connections, server.books().accepted);
  EXPECT_EQ(result.totals.connections, server.books().ended);
  EXPECT_EQ(result.totals.bytes_out, server.books().bytes_in);
  EXPECT_EQ(result.totals.bytes_in, server.books().bytes_out);
}

std::string name_of(const ::testing::TestParamInfo<Workload>& info) {
  return std::string(to_string(info.param));
}

class Right : public ::testing::TestWithParam<Workload> {};
INSTANTIATE_TEST_SUITE_P(Conversation, Right, ::testing::Values(Workload::rr, Workload::crr),
                         name_of);

TEST_P(Right, RepliesLeaveNothingToComplainAbout) {
  const EchoDouble server;
  const RunResult result = run_load(plan_for(server, GetParam(), 500), nullptr);
  EXPECT_EQ(result.requests.completed, 500U);
  EXPECT_EQ(result.verification.wrong(), 0U);
  EXPECT_EQ(result.connections.failed.all(), 0U);
  EXPECT_EQ(result.connections.opened, GetParam() == Workload::rr ? 2U : 500U);
  EXPECT_EQ(result.close->count(), result.connections.opened);
  EXPECT_EQ(result.connect->count(), result.connections.opened);
  EXPECT_EQ(result.first_byte->count(), 500U);
  expect_balance(result);
  expect_books_agree(result, server);
}

TEST_P(Right, RepliesOfMoreThanTheSocketsHoldCrossTheRequest) {
  const EchoDouble server;
  LoadPlan plan = plan_for(server, GetParam(), 4);
  plan.timeout = 30s;
  plan.size = 16 * 1024 * 1024 + 3;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 4U);
  EXPECT_EQ(result.verification.wrong(), 0U);
  expect_books_agree(result, server);
}

TEST_P(Right, RepliesComeThroughAUnixSocketToo) {
  const EchoDouble server(
      {.unix_path = ::testing::TempDir() + "forkecho-conversation-" + std::to_string(getpid())});
  const RunResult result = run_load(plan_for(server, GetParam(), 100), nullptr);
  EXPECT_EQ(result.requests.completed, 100U);
  EXPECT_EQ(result.verification.wrong(), 0U);
  expect_books_agree(result, server);
}

TEST_P(Right, SizeOfOneByteIsEnough) {
  const EchoDouble server;
  LoadPlan plan = plan_for(server, GetParam(), 60);
  plan.size = 1;
  EXPECT_EQ(run_load(plan, nullptr).verification.wrong(), 0U);
}

class Wrong : public Right {};
INSTANTIATE_TEST_SUITE_P(Conversation, Wrong, ::testing::Values(Workload::rr, Workload::crr),
                         name_of);

TEST_P(Wrong, BitIsAMismatch) {
  const EchoDouble server({.answer = Answer::flip_a_bit});
  const RunResult result = run_load(plan_for(server, GetParam(), 50), nullptr);
  EXPECT_EQ(result.verification.mismatched, 50U);
  EXPECT_EQ(result.verification.wrong(), 50U);
  EXPECT_EQ(result.connections.opened, 50U);  // a connection that was wrong once is used no more
  EXPECT_EQ(result.requests.completed, 50U);
  expect_balance(result);
}

TEST_P(Wrong, TransformIsAMismatch) {
  const EchoDouble server;
  LoadPlan plan = plan_for(server, GetParam(), 50);
  plan.expect = Expect::none;
  EXPECT_EQ(run_load(plan, nullptr).verification.mismatched, 50U);
}

TEST_P(Wrong, EndBeforeTheWholeReplyIsShort) {
  const EchoDouble server({.answer = Answer::cut_short});
  const RunResult result = run_load(plan_for(server, GetParam(), 10), nullptr);
  EXPECT_EQ(result.verification.cut_short, 10U);
  EXPECT_EQ(result.verification.wrong(), 10U);
  EXPECT_EQ(result.requests.failed.cut_short, 10U);
  EXPECT_EQ(result.requests.failed.all(), 10U);
  expect_balance(result);
}

TEST_P(Wrong, SecondReplyIsExtra) {
  const EchoDouble server({.answer = Answer::twice});
  const RunResult result = run_load(plan_for(server, GetParam(), 50), nullptr);
  EXPECT_GE(result.verification.extra, 25U);  // a repeated reply takes the place of the next one's
  EXPECT_EQ(result.verification.wrong(), result.verification.extra);
  expect_balance(result);
}

TEST_P(Wrong, BytesAfterTheHalfCloseAreExtraAndCounted) {
  const EchoDouble server({.answer = Answer::again_at_the_end});
  const RunResult result = run_load(plan_for(server, GetParam(), 10), nullptr);
  EXPECT_EQ(result.verification.extra, result.connections.opened);
  EXPECT_EQ(result.verification.wrong(), result.verification.extra);
  EXPECT_EQ(result.requests.completed, 10U);
  expect_books_agree(result, server);
}

TEST_P(Wrong, SilenceIsATimeout) {
  const EchoDouble server({.answer = Answer::never});
  LoadPlan plan = plan_for(server, GetParam(), 4);
  plan.timeout = 100ms;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.failed.timeout, 4U);
  EXPECT_EQ(result.requests.failed.all(), 4U);
  EXPECT_EQ(result.connections.opened, 4U);
  EXPECT_EQ(result.verification.wrong(), 0U);
  EXPECT_TRUE(result.generator.valid);
  expect_balance(result);
}

TEST_P(Wrong, TrickleDoesNotOutliveTheTimeout) {
  const EchoDouble server({.answer = Answer::slowly});
  LoadPlan plan = plan_for(server, GetParam(), 1);
  plan.connections = 1;
  plan.timeout = 200ms;  // of the 1.3 s that the reply takes
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.failed.timeout, 1U);
  EXPECT_LT(result.duration_s, 1.0);
  expect_balance(result);
}

TEST_P(Wrong, ResetIsAReset) {
  const EchoDouble server({.answer = Answer::reset});
  const RunResult result = run_load(plan_for(server, GetParam(), 10), nullptr);
  EXPECT_EQ(result.requests.failed.reset, 10U);
  EXPECT_EQ(result.requests.failed.all(), 10U);
  EXPECT_EQ(result.verification.wrong(), 0U);
  expect_balance(result);
}

TEST_P(Wrong, OneBitInAMillionBytesIsFound) {
  const EchoDouble server({.answer = Answer::flip_rarely});
  LoadPlan plan = plan_for(server, GetParam(), 300);
  plan.size = 10'000;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.verification.mismatched, server.books().flipped);
  EXPECT_GE(server.books().flipped, 2U);
  EXPECT_EQ(result.verification.wrong(), result.verification.mismatched);
  EXPECT_EQ(exit_code(result), exit_failed);
}

// --- several requests in flight

LoadPlan deep_plan(const EchoDouble& server, std::uint64_t requests, unsigned depth = 7) {
  LoadPlan plan = plan_for(server, Workload::rr, requests);
  plan.depth = depth;
  return plan;
}

TEST(Conversation, RepliesInFlightAreEachComparedWithTheirOwn) {
  const EchoDouble server;
  LoadPlan plan = deep_plan(server, 2000);
  plan.size = *SizeDistribution::parse("1-300");
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 2000U);
  EXPECT_EQ(result.verification.wrong(), 0U);
  EXPECT_EQ(result.connections.opened, 2U);
  expect_balance(result);
  expect_books_agree(result, server);
}

TEST(Conversation, DepthBeyondTheSocketsBuffersDoesNotDeadlock) {
  const EchoDouble server;
  LoadPlan plan = deep_plan(server, 60, 60);
  plan.size = 1 << 20;
  plan.timeout = 30s;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 60U);
  EXPECT_EQ(result.verification.wrong(), 0U);
  expect_books_agree(result, server);
}

TEST(Conversation, TimeoutTakesThoseBehindItAlong) {
  const EchoDouble server({.answer = Answer::never});
  LoadPlan plan = deep_plan(server, 14);
  plan.timeout = 100ms;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.failed.timeout, 14U);
  EXPECT_EQ(result.connections.opened, 2U);
  expect_balance(result);
}

TEST(Conversation, EndTakesThoseInFlightAlong) {
  const EchoDouble server({.answer = Answer::cut_short});
  const RunResult result = run_load(deep_plan(server, 14), nullptr);
  EXPECT_EQ(result.requests.failed.all(), 14U);
  EXPECT_EQ(result.requests.failed.cut_short + result.requests.failed.reset, 14U);
  expect_balance(result);
}

TEST(Conversation, FlippedBitDoesNotSpoilTheRepliesBehindIt) {
  const EchoDouble server({.answer = Answer::flip_rarely});
  LoadPlan plan = deep_plan(server, 300);
  plan.size = 10'000;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.verification.mismatched, server.books().flipped);
  EXPECT_EQ(result.requests.completed, 300U);
  expect_balance(result);
}

TEST(Conversation, SecondRepliesAreExtraAlsoInFlight) {
  const EchoDouble server({.answer = Answer::twice});
  const RunResult result = run_load(deep_plan(server, 70), nullptr);
  EXPECT_GE(result.verification.extra, 10U);
  EXPECT_EQ(result.requests.completed, 70U);
  expect_balance(result);
}

// --- how connections are used and closed

TEST(Conversation, RequestsPerConnectionAreKeptTo) {
  const EchoDouble server;
  for (const Workload workload : {Workload::rr, Workload::crr}) {
    for (const unsigned depth : {1U, 3U}) {
      LoadPlan plan = plan_for(server, workload, 100);
      plan.requests_per_connection = 5;
      plan.connections = 1;
      plan.depth = depth;
      const RunResult result = run_load(plan, nullptr);
      EXPECT_EQ(result.requests.completed, 100U);
      EXPECT_EQ(result.connections.opened, 20U);
      EXPECT_EQ(result.close->count(), 20U);
      EXPECT_EQ(result.verification.wrong(), 0U);
    }
  }
}

TEST(Conversation, CloseByResetIsNoFailureAndHasNoDuration) {
  const EchoDouble server;
  LoadPlan plan = plan_for(server, Workload::crr, 200);
  plan.close = Close::rst;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 200U);
  EXPECT_EQ(result.connections.opened, 200U);
  EXPECT_EQ(result.connections.failed.all(), 0U);
  EXPECT_EQ(result.close->count(), 0U);
  EXPECT_EQ(server.books().accepted, 200U);
  EXPECT_EQ(server.books().ended, 0U);  // the double saw no end of file
  EXPECT_EQ(result.totals.bytes_out, server.books().bytes_in);
  EXPECT_EQ(result.totals.bytes_in, server.books().bytes_out);
  expect_balance(result);
}

TEST(Conversation, ThinkingIsAPauseBetweenAReplyAndTheNextRequest) {
  const EchoDouble server;
  LoadPlan plan = plan_for(server, Workload::rr, 11);
  plan.connections = 1;
  plan.think = 20ms;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 11U);
  EXPECT_GE(result.duration_s, 0.2);
}

TEST(Conversation, StreamFillsTheConnectionAndEveryByteIsCompared) {
  const EchoDouble server;
  LoadPlan plan = plan_for(server, Workload::stream, 2000);
  plan.size = 65'536;
  plan.timeout = 30s;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 2000U);
  EXPECT_EQ(result.verification.wrong(), 0U);
  EXPECT_EQ(result.connections.opened, 2U);
  EXPECT_GT(result.bytes_out_per_s, 0);
  EXPECT_DOUBLE_EQ(result.bytes_out_per_s, result.bytes_in_per_s);
  expect_balance(result);
  expect_books_agree(result, server);
}

TEST(Conversation, SourcesAreUsedInTurn) {
  const EchoDouble server;
  LoadPlan plan = plan_for(server, Workload::crr, 20);
  plan.source = "127.77.0.0/29";
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 20U);
  plan.source = "::1";
  EXPECT_THROW(run_load(plan, nullptr), ImpossiblePlan);
}

TEST_P(Right, RepliesComeThroughIpv6Too) {
  const EchoDouble server({.ipv6 = true});
  const RunResult result = run_load(plan_for(server, GetParam(), 100), nullptr);
  EXPECT_EQ(result.requests.completed, 100U);
  EXPECT_EQ(result.verification.wrong(), 0U);
  expect_books_agree(result, server);
}

TEST(Conversation, OrderlyEndBetweenRequestsIsNoError) {
  const EchoDouble server({.answer = Answer::then_leave, .requests_each = 5});
  LoadPlan plan = plan_for(server, Workload::rr, 200);
  plan.connections = 1;
  const RunResult result = run_load(plan, nullptr);
  // The end may cross a request that is under way already: then that one failed, and nothing else
  // did.
  EXPECT_EQ(result.verification.wrong(), 0U);
  EXPECT_EQ(result.requests.failed.timeout + result.requests.failed.other, 0U);
  EXPECT_GE(result.requests.completed, 160U);
  EXPECT_GE(result.connections.opened, 33U);
  expect_balance(result);
}

TEST(Conversation, CloseThatNeverComesIsAFailureOfTheConnection) {
  const EchoDouble server({.answer = Answer::then_linger});
  LoadPlan plan = plan_for(server, Workload::crr, 3);
  plan.timeout = 1s;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 3U);
  EXPECT_EQ(result.connections.failed.timeout, 3U);
  EXPECT_EQ(result.connections.failed.all(), 3U);
}

TEST(Conversation, ResetInPlaceOfTheCloseIsAFailureOfTheConnection) {
  const EchoDouble server({.answer = Answer::then_reset});
  const RunResult result = run_load(plan_for(server, Workload::crr, 3), nullptr);
  EXPECT_EQ(result.requests.completed, 3U);
  EXPECT_EQ(result.connections.failed.reset, 3U);
  EXPECT_EQ(result.connections.failed.all(), 3U);
}

}  // namespace
}  // namespace forkecho::client
