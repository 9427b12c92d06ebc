#include "server/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "server/status_table.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

Status example() {
  Status status{
      .pid = 815,
      .mode = Mode::pool,
      .state = State::draining,
      .uptime_s = 12.5,
      .listen = {"127.0.0.1:9001", "unix:/x"},
      .books = {},
      .children = {.forked = 9, .reaped = 4, .idle = 3, .busy = 2},
      .confinement = {.sandbox = "strict",
                      .user = "nobody",
                      .group = "nogroup",
                      .chroot = "/empty",
                      .capabilities = "none",
                      .no_new_privs = true,
                      .system_calls = 33},
      .acceptors = {{.number = 2, .pid = 902, .accepted = 40, .active = 3, .children = 4}},
      .pool = PoolStatus{.accept = Accept::lock,
                         .sizes = {.start = 1, .min_spare = 2, .max_spare = 5, .max = 9},
                         .grown = -1},
      .workers = Fairness{.workers = 3, .served_min = 4, .served_max = 8, .jain = 0.9},
      .generations = {{.number = 3, .draining = false, .since_s = 0.5, .active = 20},
                      {.number = 2, .draining = true, .since_s = 1.5, .active = 2}},
      .stress = true,
      .predecessors = {814, 800},
      .slots = {},
      .slots_omitted = 6};
  status.books = {.accepted = 100,
                  .served = 1,
                  .refused = {2, 3, 4, 5},
                  .timed_out = {6, 7, 8, 9, 10},
                  .fork_failed = 11,
                  .crashed = 12,
                  .bytes_in = 1000,
                  .bytes_out = 2000,
                  .forked = 9,
                  .reaped = 4};
  status.slots.push_back({.pid = 42,
                          .state = SlotState::serving,
                          .peer = "10.0.0.7:5",
                          .connections = 3,
                          .bytes_in = 70,
                          .bytes_out = 80,
                          .since_s = 1.25});
  status.slots.push_back({.pid = 43,
                          .state = SlotState::idle,
                          .peer = "",
                          .connections = 0,
                          .bytes_in = 0,
                          .bytes_out = 0,
                          .since_s = 2});
  return status;
}

TEST(Status, TheKeysOfTheJsonAreFixed) {
  const auto expected =
      nlohmann::json::parse(R"({
    "version": ")" FORKECHO_VERSION
                            R"(", "pid": 815, "mode": "pool", "state": "draining", "uptime_s": 12.5,
    "listen": ["127.0.0.1:9001", "unix:/x"],
    "connections": {"accepted": 100, "active": 22, "served": 1,
      "refused": {"full": 2, "per_source": 3, "rate": 4, "draining": 5},
      "timed_out": {"first_byte": 6, "idle": 7, "write": 8, "lifetime": 9, "drain": 10},
      "fork_failed": 11, "crashed": 12},
    "bytes": {"in": 1000, "out": 2000},
    "children": {"forked": 9, "reaped": 4, "idle": 3, "busy": 2},
    "confinement": {"sandbox": "strict", "user": "nobody", "group": "nogroup", "chroot": "/empty",
      "capabilities": "none", "no_new_privs": true, "system_calls": 33},
    "acceptors": [{"number": 2, "pid": 902, "connections": {"accepted": 40, "active": 3},
                   "children": 4}],
    "pool": {"accept": "lock", "min_spare": 2, "max_spare": 5, "max": 9, "grown": -1},
    "workers": {"living": 3, "served_min": 4, "served_max": 8, "jain": 0.9},
    "generations": [{"number": 3, "state": "current", "since_s": 0.5, "connections": {"active": 20}},
                    {"number": 2, "state": "draining", "since_s": 1.5, "connections": {"active": 2}}],
    "stress": true,
    "upgrade": {"predecessors": [814, 800]},
    "slots": [{"pid": 42, "state": "serving", "peer": "10.0.0.7:5", "connections": 3,
               "bytes_in": 70, "bytes_out": 80, "since_s": 1.25},
              {"pid": 43, "state": "idle", "peer": "", "connections": 0,
               "bytes_in": 0, "bytes_out": 0, "since_s": 2.0}],
    "slots_omitted": 6})");
  const auto told = nlohmann::json::parse(to_json(example()).dump());
  // There may be more; what is fixed is there, and as it was.
  auto told_and_fixed = told;
  told_and_fixed.merge_patch(expected);
  EXPECT_EQ(told, told_and_fixed) << told.dump(2);
}

TEST(Status, TellsHowLongForksTook) {
  Status status = example();
  status.books.fork_times.buckets[0] = 3;
  status.books.fork_times.buckets[fork_time_bounds] = 1;
  status.books.fork_times.sum_ns = 1'500'000'000;
  const auto json = to_json(status)["fork_time"];
  EXPECT_EQ(json["count"], 4);
  EXPECT_EQ(json["sum_s"], 1.5);
  ASSERT_EQ(json["buckets"].size(), fork_time_bounds + 1);
  EXPECT_EQ(json["buckets"].front().dump(), R"({"up_to_us":10,"count":3})");
  EXPECT_EQ(json["buckets"].back().dump(), R"({"up_to_us":null,"count":1})");
}

TEST(Status, TellsTheAcceptQueueOfEachListener) {
  Status status = example();
  status.accept_queues = {AcceptQueue{.length = 2, .limit = 4096}, std::nullopt};
  EXPECT_EQ(to_json(status)["accept_queues"].dump(),
            R"([{"listen":"127.0.0.1:9001","length":2,"limit":4096},)"
            R"({"listen":"unix:/x","length":null,"limit":null}])");
}

TEST(Status, TellsHowManyLinesWereLost) {
  Status status = example();
  status.log_lost = 5;
  status.access_log_lost = 6;
  EXPECT_EQ(to_json(status)["log"].dump(), R"({"lost":5,"access_lost":6})");
}

TEST(Status, TheFinalBooksAreOneLine) {
  const std::string line = books_line(example().books);
  EXPECT_THAT(line, testing::Not(HasSubstr("\n")));
  for (const char* part : {"accepted 100", "active 22", "served 1,", "full 2", "lifetime 9",
                           "fork failed 11", "crashed 12", "in 1000", "out 2000"}) {
    EXPECT_THAT(line, HasSubstr(part));
  }
}

TEST(ReadSlot, ShowsWhatIsThere) {
  Slot slot{};
  const auto entered = sys::Clock::now();
  slot.pid = 99;
  slot.state = SlotState::serving;
  slot.peer.family = AF_UNIX;
  slot.connections.add(4);
  slot.meter.bytes_in.add(5);
  slot.meter.bytes_out.add(6);
  slot.since_ns = entered.time_since_epoch().count();
  const SlotStatus status = read_slot(slot, entered + 1500ms);
  EXPECT_EQ(status.pid, 99);
  EXPECT_EQ(status.state, SlotState::serving);
  EXPECT_EQ(status.peer, "unix:");
  EXPECT_EQ(status.connections, 4U);
  EXPECT_EQ(status.bytes_in, 5U);
  EXPECT_EQ(status.bytes_out, 6U);
  EXPECT_DOUBLE_EQ(status.since_s, 1.5);
}

TEST(ReadSlot, NonsenseOfAProcessGoneWrongIsShownAndHarmsNobody) {
  Slot slot{};
  std::memset(static_cast<void*>(&slot), 0xff, sizeof slot);
  Status status = example();
  status.slots = {read_slot(slot, sys::Clock::now())};
  slot.since_ns = std::numeric_limits<std::int64_t>::max();
  status.slots.push_back(read_slot(slot, sys::Clock::now()));
  slot.since_ns = std::numeric_limits<std::int64_t>::min();
  status.slots.push_back(read_slot(slot, sys::Clock::now()));
  for (const SlotStatus& shown : status.slots) EXPECT_GE(shown.since_s, 0);
  const auto json = to_json(status);
  EXPECT_EQ(json["slots"][0]["state"], "free");
  EXPECT_EQ(json["slots"][0]["peer"], "");
  EXPECT_NO_THROW(to_table(nlohmann::ordered_json::parse(json.dump())));
}

}  // namespace
}  // namespace forkecho::server
