#include "server/access_log.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

PeerAddress peer_of(const char* address, std::uint16_t port) {
  PeerAddress peer{};
  peer.family = AF_INET;
  peer.port = htons(port);
  inet_pton(AF_INET, address, peer.address);
  return peer;
}

AccessEntry example() {
  return {.peer = peer_of("10.0.0.7", 40112),
          .pid = 4711,
          .started_ns = 1'700'000'000'123'456'789,
          .duration_ns = 1'234'567'890,
          .bytes_in = 6,
          .bytes_out = 7,
          .role = AccessRole::child,
          .outcome = AccessOutcome::served};
}

TEST(AccessLine, IsReadableAsText) {
  EXPECT_EQ(format_access_line(example(), log::Format::text),
            "2023-11-14T22:13:20.123456Z 10.0.0.7:40112 served 1.234568s in=6 out=7 child=4711\n");
}

TEST(AccessLine, IsAnObjectAsJson) {
  const std::string line = format_access_line(example(), log::Format::json);
  EXPECT_EQ(line.back(), '\n');
  EXPECT_EQ(nlohmann::json::parse(line), nlohmann::json::parse(R"({
    "time": "2023-11-14T22:13:20.123456Z", "peer": "10.0.0.7:40112", "ending": "served",
    "duration_s": 1.234568, "bytes_in": 6, "bytes_out": 7, "pid": 4711, "role": "child"})"));
}

TEST(AccessLine, SaysWhenNobodyKnowsWhoCame) {
  AccessEntry entry = example();
  entry.peer = {};
  EXPECT_THAT(format_access_line(entry, log::Format::text), HasSubstr("Z - served"));
  EXPECT_EQ(nlohmann::json::parse(format_access_line(entry, log::Format::json))["peer"], nullptr);
}

TEST(AccessLine, EveryOutcomeHasAName) {
  AccessEntry entry = example();
  std::set<std::string> lines;
  for (int outcome = 0; outcome <= static_cast<int>(AccessOutcome::fork_failed); ++outcome) {
    entry.outcome = static_cast<AccessOutcome>(outcome);
    lines.insert(format_access_line(entry, log::Format::text));
  }
  EXPECT_EQ(lines.size(), 12U);
  for (const std::string& line : lines) EXPECT_THAT(line, testing::Not(HasSubstr("unknown")));
}

TEST(AccessLine, OfNonsenseIsOneShortLine) {
  AccessEntry entry{};
  for (const int fill : {0x00, 0x0a, 0x22, 0x7f, 0x80, 0xff}) {
    std::memset(static_cast<void*>(&entry), fill, sizeof entry);
    for (const int family : {AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, 0xffff}) {
      entry.peer.family = static_cast<std::uint16_t>(family);
      for (const auto format : {log::Format::text, log::Format::json}) {
        const std::string line = format_access_line(entry, format);
        EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
        EXPECT_LT(line.size(), 512U);
        if (format == log::Format::json) {
          EXPECT_TRUE(nlohmann::json::accept(line)) << line;
        }
      }
    }
  }
}

TEST(AccessOutcomeOf, FollowsTheBooks) {
  EXPECT_EQ(outcome_of(Ending::served), AccessOutcome::served);
  EXPECT_EQ(outcome_of(Ending::drain_timeout), AccessOutcome::drain_timeout);
  EXPECT_EQ(outcome_of(Ending::crashed), AccessOutcome::crashed);
  EXPECT_EQ(outcome_of(Refusal::full), AccessOutcome::refused_full);
  EXPECT_EQ(outcome_of(Refusal::per_source), AccessOutcome::refused_per_source);
  EXPECT_EQ(outcome_of(Refusal::rate), AccessOutcome::refused_rate);
  EXPECT_EQ(outcome_of(Refusal::draining), AccessOutcome::refused_draining);
}

TEST(DescribeConnection, TakesWhatTheSlotSays) {
  Slot slot{};
  slot.pid = 42;
  slot.peer = peer_of("10.0.0.8", 5);
  slot.enter(SlotState::serving);
  slot.meter.bytes_in.add(100);
  slot.meter.bytes_out.add(200);
  const AccessEntry entry = describe_connection(
      slot, AccessRole::worker, AccessOutcome::idle_timeout, {.bytes_in = 90, .bytes_out = 150});
  EXPECT_EQ(entry.pid, 42);
  EXPECT_EQ(entry.peer.to_string(), "10.0.0.8:5");
  EXPECT_EQ(entry.bytes_in, 10U);
  EXPECT_EQ(entry.bytes_out, 50U);
  EXPECT_GE(entry.duration_ns, 0);
  EXPECT_LT(entry.duration_ns, sys::Duration(20s).count());
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  EXPECT_LT(sys::Duration(now).count() - entry.started_ns, sys::Duration(20s).count());
}

TEST(DescribeConnection, ATimeThatCannotBeIsBounded) {
  Slot slot{};
  for (const auto since :
       {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    slot.since_ns = since;
    EXPECT_GE(describe_connection(slot, AccessRole::child, AccessOutcome::crashed).duration_ns, 0);
  }
}

class AccessLogTest : public testing::Test {
 protected:
  AccessLogTest() { open_access_log(file_, log::Format::text); }
  ~AccessLogTest() override { open_access_log("", log::Format::text); }

  std::string content() const { return tests::content_of(file_); }
  void end_connection(std::uint64_t bytes_in) {
    page_->book.accepted.add(1);
    book_ending(
        *page_,
        [&] {
          AccessEntry entry = example();
          entry.bytes_in = bytes_in;
          return entry;
        },
        [&] { page_->book.record(Ending::served); });
  }
  static std::string line(std::uint64_t bytes_in) {
    AccessEntry entry = example();
    entry.bytes_in = bytes_in;
    return format_access_line(entry, log::Format::text);
  }

  const tests::TempDir directory_;
  const std::string file_ = directory_.path("access");
  mp::RawValue<ProcessPage> page_;
};

TEST_F(AccessLogTest, EachEndingIsBookedAndHasALine) {
  end_connection(1);
  end_connection(2);
  EXPECT_EQ(content(), line(1) + line(2));
  EXPECT_EQ(page_->book.served.get(), 2U);
}

TEST_F(AccessLogTest, WithoutItEndingsAreBookedAllTheSame) {
  open_access_log("", log::Format::text);
  EXPECT_FALSE(has_access_log());
  end_connection(1);
  EXPECT_EQ(content(), "");
  EXPECT_EQ(page_->book.served.get(), 1U);
}

TEST_F(AccessLogTest, AfterAnOrderlyEndNothingIsLeftToWrite) {
  end_connection(1);
  settle_journal(*page_);
  EXPECT_EQ(content(), line(1));
}

/// As it is left by a process that was killed after it had booked, before or after it wrote.
class KilledInBetween : public AccessLogTest {
 protected:
  KilledInBetween() {
    end_connection(1);
    AccessEntry entry = example();
    entry.bytes_in = 2;
    page_->journal.last = entry;
    page_->book.accepted.add(1);
    page_->book.record(Ending::served);
  }
};

TEST_F(KilledInBetween, BeforeTheLineItIsWrittenByTheSupervisor) {
  settle_journal(*page_);
  EXPECT_EQ(content(), line(1) + line(2));
}

TEST_F(KilledInBetween, AfterTheLineItIsNotWrittenTwice) {
  write_access_line(page_->journal.last);
  write_access_line(example());  // another process's line behind it
  settle_journal(*page_);
  EXPECT_EQ(content(), line(1) + line(2) + line(6));
}

TEST_F(AccessLogTest, KilledBeforeTheBookItHasNoLineYet) {
  page_->journal.last = example();
  page_->book.accepted.add(1);
  settle_journal(*page_);
  EXPECT_EQ(content(), "");
}

/// As in a daemon: a process below writes to the supervisor.
class RelayedAccessLog : public AccessLogTest {
 protected:
  RelayedAccessLog() {
    set_access_relay(relay_.write.get(), [this] { pass_on_all(); });
  }
  ~RelayedAccessLog() override {
    set_access_relay(-1, [] {});
  }

  void pass_on_all() {
    char lines[4096];
    while (tests::readable(relay_.read.get(), sys::Deadline::immediately())) {
      const ssize_t count = read(relay_.read.get(), lines, sizeof lines);
      if (count <= 0) return;
      append_to_access_log({lines, static_cast<std::size_t>(count)});
    }
  }
  /// A process that has settled in ends a connection and is killed before it has noted its line.
  void end_one_below(bool writes) {
    const pid_t below = tests::start_child([&] {
      use_access_relay();
      if (writes) end_connection(1);
      page_->journal.settled.set(0);
      if (!writes) {
        page_->journal.last = example();
        page_->journal.last.bytes_in = 1;
        page_->book.accepted.add(1);
        page_->book.record(Ending::served);
      }
      return 0;
    });
    EXPECT_EQ(tests::exitcode_of(below), 0);
  }

  tests::Pipe relay_;
};

TEST_F(RelayedAccessLog, LinesComeThroughTheRelay) {
  end_one_below(true);
  EXPECT_EQ(content(), "");
  pass_on_all();
  EXPECT_EQ(content(), line(1));
}

TEST_F(RelayedAccessLog, ALineThatIsStillInTheRelayIsNotWrittenTwice) {
  end_one_below(true);
  settle_journal(*page_);
  EXPECT_EQ(content(), line(1));
}

TEST_F(RelayedAccessLog, ALineThatNeverCameIsWritten) {
  end_one_below(false);
  settle_journal(*page_);
  EXPECT_EQ(content(), line(1));
}

TEST_F(RelayedAccessLog, OpenedAnewItIsAnotherFile) {
  end_connection(1);
  std::filesystem::rename(file_, file_ + ".1");
  reopen_access_log(file_);
  end_connection(2);
  EXPECT_EQ(tests::content_of(file_ + ".1"), line(1));
  EXPECT_EQ(content(), line(2));
}

TEST_F(RelayedAccessLog, LinesThatCannotBePassedOnAreCounted) {
  open_access_log("/dev/full", log::Format::text);
  const std::uint64_t before = access_lines_lost();
  append_to_access_log("one\ntwo\n");
  EXPECT_EQ(access_lines_lost(), before + 2);
}

TEST_F(AccessLogTest, WhatAFullDiskLosesIsCounted) {
  open_access_log("/dev/full", log::Format::text);
  end_connection(1);
  EXPECT_EQ(page_->access_log_lost.get(), 1U);
  EXPECT_EQ(page_->book.served.get(), 1U);
  settle_journal(*page_);
  const std::uint64_t before = access_lines_lost();
  write_access_line(example());
  EXPECT_EQ(access_lines_lost(), before + 1);
}

TEST_F(AccessLogTest, AFileThatCannotBeOpenedIsAnErrorAndTheOldOneStays) {
  EXPECT_THROW(open_access_log("/nowhere/log", log::Format::text), std::system_error);
  end_connection(1);
  EXPECT_EQ(content(), line(1));
}

}  // namespace
}  // namespace forkecho::server
