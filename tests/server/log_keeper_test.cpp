#include "server/log_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "common/log/log.h"
#include "server/access_log.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using testing::HasSubstr;
using tests::content_of;

TEST(LostLines, AreToldSinceTheLastTime) {
  EXPECT_EQ(describe_loss({.log = 5, .access_log = 9}, {.log = 3, .access_log = 2}),
            "2 lines of the log and 7 of the access log could not be written and are lost");
}

/// The log is the process's own: each test has one, in a child.
class LogKeeperTest : public testing::Test {
 protected:
  LogKeeperTest() { options_.log.file = directory_.path("log"); }
  /// True when `body` is, in a child with a log.
  template <typename Body>
  bool in_child(Body body) {
    return tests::exitcode_in_child([&] {
             log::open(options_.log);
             open_access_log(options_.access_log, log::Format::text);
             asio::io_context context(1);
             LogKeeper keeper(context);
             return body(keeper) ? 0 : 1;
           }) == 0;
  }
  std::string logged() const { return content_of(options_.log.file); }

  const tests::TempDir directory_;
  Options options_;
};

TEST_F(LogKeeperTest, OpensTheFilesAnewAndThenTellsOthers) {
  options_.access_log = directory_.path("access");
  const std::string moved = directory_.path("moved");
  const std::string moved_access = directory_.path("moved_access");
  EXPECT_TRUE(in_child([&](LogKeeper& keeper) {
    log::info("before");
    rename(options_.log.file.c_str(), moved.c_str());
    rename(options_.access_log.c_str(), moved_access.c_str());
    bool files_are_there = false;
    const std::string answer = keeper.reopen(options_, [&] {
      files_are_there = access(options_.log.file.c_str(), F_OK) == 0 &&
                        access(options_.access_log.c_str(), F_OK) == 0;
    });
    return answer == "ok\n" && files_are_there;
  }));
  EXPECT_THAT(content_of(moved), HasSubstr("before"));
  EXPECT_THAT(logged(), HasSubstr("was opened anew"));
}

TEST_F(LogKeeperTest, PassesOnWhatWasWrittenToTheOldFileFirst) {
  options_.access_log = directory_.path("access");
  const std::string moved = directory_.path("moved");
  EXPECT_TRUE(in_child([&](LogKeeper& keeper) {
    if (tests::exitcode_in_child([] {
          use_access_relay();
          write_access_line(describe_arrival({}, AccessRole::child, AccessOutcome::served));
          return 0;
        }) != 0)
      return false;
    rename(options_.access_log.c_str(), moved.c_str());
    return keeper.reopen(options_, [] {}) == "ok\n";
  }));
  EXPECT_THAT(content_of(moved), HasSubstr(" served "));
  EXPECT_EQ(content_of(options_.access_log), "");
}

TEST_F(LogKeeperTest, KeepsTheOldFileWhereThereIsNoNewOne) {
  EXPECT_TRUE(in_child([&](LogKeeper& keeper) {
    Options wrong = options_;
    wrong.log.file = directory_.path("no/such/directory/log");
    bool told = false;
    const std::string answer = keeper.reopen(wrong, [&] { told = true; });
    return answer.starts_with("error: ") && answer.ends_with("; the old one stays in use\n") &&
           !told;
  }));
  EXPECT_THAT(logged(), HasSubstr("; the old one stays in use"));
}

TEST_F(LogKeeperTest, OnStandardErrorThereIsNothingToOpen) {
  options_.log.file.clear();
  EXPECT_TRUE(in_child([&](LogKeeper& keeper) {
    bool told = false;
    return keeper.reopen(options_, [&] { told = true; }) == "ok\n" && !told;
  }));
}

TEST_F(LogKeeperTest, TellsOnceWhatIsLost) {
  EXPECT_TRUE(in_child([&](LogKeeper& keeper) {
    BookTotals totals;
    keeper.tell_of_lost_lines(totals);
    const bool silent = logged().find("are lost") == std::string::npos;
    totals.log_lost = 3;
    for (int i = 0; i < 2; ++i) keeper.tell_of_lost_lines(totals);
    totals.access_log_lost = 4;
    keeper.tell_of_lost_lines(totals);
    return silent;
  }));
  const std::string log = logged();
  EXPECT_THAT(log, HasSubstr("3 lines of the log and 0 of the access log"));
  EXPECT_THAT(log, HasSubstr("0 lines of the log and 4 of the access log"));
  EXPECT_EQ(log.find("3 lines of the log"), log.rfind("3 lines of the log"));
}

}  // namespace
}  // namespace forkecho::server
