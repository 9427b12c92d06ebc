#include "server/status_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace forkecho::server {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;
using testing::Not;

ordered_json example() {
  return ordered_json::parse(R"({
    "version": "0.1.0", "pid": 815, "mode": "fork", "state": "running", "uptime_s": 12.5,
    "listen": ["127.0.0.1:9001", "unix:/x"],
    "connections": {"accepted": 1234567, "active": 22, "served": 1234545,
      "refused": {"full": 2, "per_source": 3, "rate": 0, "draining": 0},
      "timed_out": {"first_byte": 6, "idle": 0, "write": 0, "lifetime": 0, "drain": 0},
      "fork_failed": 11, "crashed": 12},
    "bytes": {"in": 1000, "out": 204800},
    "children": {"forked": 9, "reaped": 4, "idle": 3, "busy": 2},
    "acceptors": [
      {"number": 1, "pid": 901, "connections": {"accepted": 1000, "active": 20}, "children": 21},
      {"number": 2, "pid": 902, "connections": {"accepted": 40, "active": 2}, "children": 2}],
    "generations": [{"number": 3, "state": "current", "connections": {"active": 20}},
                    {"number": 2, "state": "draining", "connections": {"active": 2}}],
    "fork_time": {"count": 100, "sum_s": 0.0085, "buckets": [
      {"up_to_us": 80, "count": 60}, {"up_to_us": 160, "count": 39}, {"up_to_us": null, "count": 1}]},
    "accept_queues": [{"listen": "127.0.0.1:9001", "length": 7, "limit": 4096},
                      {"listen": "unix:/x", "length": null, "limit": null}],
    "confinement": {"sandbox": "strict", "user": "nobody", "group": "nogroup", "chroot": "/empty",
      "capabilities": "none", "no_new_privs": true, "system_calls": 33},
    "pool": {"accept": "lock", "min_spare": 2, "max_spare": 5, "max": 9, "grown": -1},
    "workers": {"living": 3, "served_min": 4, "served_max": 8000, "jain": 0.9},
    "log": {"lost": 5, "access_lost": 0},
    "slots": [{"pid": 41, "state": "idle", "peer": "", "connections": 0, "bytes_in": 0,
               "bytes_out": 0, "since_s": 9000.0},
              {"pid": 42, "state": "serving", "peer": "10.0.0.7:5", "connections": 3,
               "bytes_in": 70, "bytes_out": 80, "since_s": 1.25},
              {"pid": 43, "state": "serving", "peer": "10.0.0.8:6", "connections": 1,
               "bytes_in": 0, "bytes_out": 0, "since_s": 200.0}],
    "slots_omitted": 6})");
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(StatusTable, ShowsTheFigures) {
  const std::string table = to_table(example());
  for (const char* expected :
       {"0.1.0",
        "815",
        "mode fork",
        "running",
        "up 12 s",
        "1,234,567",
        "1,234,545",
        "refused     full 2, per source 3\n",
        "timed out   first byte 6\n",
        "fork        85 us on average, 50 % within 80 us, 99 % within 160 us\n",
        "acceptors   901: 20 active, 1,000 accepted\n            902: 2 active, 40 accepted\n",
        "pool        accept lock, idle 2 to 5, at most 9, -1 by TTIN and TTOU\n",
        "workers     3 living, each took 4 to 8,000 connections, fairness 0.900\n",
        "generations 3 current (20 open), 2 draining (2 open)\n",
        "confinement sandbox strict, user nobody, group nogroup, chroot /empty\n"
        "            capabilities none, system calls 33\n",
        "lost lines  5 of the log, 0 of the access log could not be written\n",
        "1.0 KiB",
        "200 KiB",
        "10.0.0.7:5\n",
        "and 6 more (see --slots)\n"}) {
    EXPECT_THAT(table, HasSubstr(expected));
  }
  EXPECT_EQ(table.back(), '\n');
}

TEST(StatusTable, FitsEightyColumns) {
  ordered_json status = example();
  status["bytes"]["in"] = status["connections"]["accepted"] = 999'999'999'999;
  for (auto& slot : status["slots"]) {
    slot["pid"] = 4194303;
    slot["peer"] = "255.255.255.255:65535";
    slot["bytes_in"] = slot["bytes_out"] = 1'048'575'000'000;
    slot["since_s"] = 86399.0;
    slot["connections"] = 1'000'000;
  }
  for (const std::string& line : lines_of(to_table(status))) EXPECT_LE(line.size(), 80U) << line;
}

TEST(StatusTable, WhoIsOpenAndWhoWaitsComesFirst) {
  const auto lines = lines_of(to_table(example()));
  EXPECT_THAT(lines.at(2), testing::StartsWith("active                 22"));
  EXPECT_THAT(lines.at(3), testing::StartsWith("waiting                 7"));
}

TEST(StatusTable, ShowsEachListenersQueue) {
  const std::string table = to_table(example());
  EXPECT_THAT(table, testing::ContainsRegex("127.0.0.1:9001 +7 +4,096\n"));
  EXPECT_THAT(table, testing::ContainsRegex("unix:/x +- +-\n"));
}

TEST(StatusTable, ShowsThoseWhoServeFirstAndTheLongestOfThem) {
  const std::string table = to_table(example());
  EXPECT_LT(table.find("10.0.0.8:6"), table.find("10.0.0.7:5"));
  EXPECT_LT(table.find("10.0.0.7:5"), table.find(" 41 idle "));
}

TEST(StatusTable, WhatDidNotHappenTakesNoLine) {
  ordered_json status = example();
  status["connections"]["refused"] = {{"full", 0}};
  status["connections"]["timed_out"] = {{"idle", 0}};
  status["fork_time"] = {{"count", 0}, {"sum_s", 0}, {"buckets", ordered_json::array()}};
  status["generations"].erase(1);
  status["log"]["lost"] = 0;
  status["slots"].clear();
  status["slots_omitted"] = 0;
  const std::string table = to_table(status);
  for (const char* absent : {"full", "idle 0", "on average", "generations", "lost", "PEER", "more"})
    EXPECT_THAT(table, Not(HasSubstr(absent)));
}

TEST(StatusTable, AnAnswerOfAnotherVersionIsShownAsFarAsItIsUnderstood) {
  EXPECT_THAT(to_table(ordered_json::parse(R"({"version": "9", "slots": [{}]})")), HasSubstr("9"));
  EXPECT_NO_THROW(to_table(ordered_json::parse(R"({"connections": 5, "log": {"lost": "x"},
    "listen": {}, "accept_queues": [1], "fork_time": {"count": 5}, "slots": [[], "x"]})")));
  EXPECT_NO_THROW(to_table(ordered_json::parse("[]")));
}

TEST(RatesLine, DividesWhatHappenedByTheTimeBetween) {
  const ordered_json before = example();
  ordered_json now = example();
  now["uptime_s"] = 14.5;
  now["connections"]["accepted"] = 1234567 + 4001;
  now["bytes"]["in"] = 1000 + 4096;
  EXPECT_EQ(rates_line(before, now), "per second  2,000 connections, 2.0 KiB in, 0 B out");
}

TEST(RatesLine, SaysNothingOfAnotherDaemonOrNoTime) {
  ordered_json now = example();
  EXPECT_EQ(rates_line(example(), now), "");
  now["uptime_s"] = 99;
  now["pid"] = 816;
  EXPECT_EQ(rates_line(example(), now), "");
}

TEST(ReadableFigures, AreShort) {
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(with_thousands(1000), "1,000");
  EXPECT_EQ(with_thousands(18446744073709551615U), "18,446,744,073,709,551,615");
  EXPECT_EQ(readable_bytes(999), "999 B");
  EXPECT_EQ(readable_bytes(1000), "1.0 KiB");
  EXPECT_EQ(readable_bytes(34 << 20), "34 MiB");
  EXPECT_EQ(readable_bytes(18446744073709551615U), "16 EiB");
  for (std::uint64_t bytes = 1; bytes < (std::uint64_t{1} << 60); bytes += bytes / 3 + 1)
    EXPECT_LE(readable_bytes(bytes).size(), 8U) << bytes;
  EXPECT_EQ(readable_seconds(0.04), "0.0 s");
  EXPECT_EQ(readable_seconds(9.96), "10 s");
  EXPECT_EQ(readable_seconds(119), "119 s");
  EXPECT_EQ(readable_seconds(120), "2 min");
  EXPECT_EQ(readable_seconds(3 * 3600 + 5 * 60), "3 h 05 min");
  EXPECT_EQ(readable_seconds(49 * 3600), "2 d 01 h");
}

TEST(CutToRows, KeepsWhatFits) {
  EXPECT_EQ(cut_to_rows("a\nb\nc\n", 3), "a\nb\nc\n");
  EXPECT_EQ(cut_to_rows("a\nb\nc\n", 2), "a\n...\n");
  EXPECT_EQ(cut_to_rows("a\nb\nc\n", 1), "...\n");
  EXPECT_EQ(cut_to_rows("a\nb\nc\n", 0), "a\nb\nc\n");  // a terminal that does not say
}

}  // namespace
}  // namespace forkecho::server
