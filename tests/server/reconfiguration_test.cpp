#include "server/reconfiguration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Reconfiguration, WhatCannotChangeIsKeptAndNamed) {
  const Options running;
  Options wanted;
  wanted.listen = {"127.0.0.1:1"};
  wanted.mode = Mode::pool;
  wanted.control = "/other.sock";
  wanted.pidfile = "/other.pid";
  wanted.log.file = "/other.log";
  wanted.metrics = "127.0.0.1:9100";
  wanted.access_log = "/other.access";
  wanted.final_status = "/other.json";
  wanted.max_connections = 7;
  const Reconfiguration next = keep_what_cannot_change(wanted, running);
  EXPECT_THAT(next.kept, ElementsAre("--listen", "--mode", "--control", "--pidfile", "--metrics",
                                     "--final-status", "--log-file", "--access-log"));
  EXPECT_EQ(next.options.listen, running.listen);
  EXPECT_EQ(next.options.mode, running.mode);
  EXPECT_EQ(next.options.control, running.control);
  EXPECT_EQ(next.options.pidfile, running.pidfile);
  EXPECT_EQ(next.options.log.file, running.log.file);
  EXPECT_EQ(next.options.metrics, running.metrics);
  EXPECT_EQ(next.options.access_log, running.access_log);
  EXPECT_EQ(next.options.max_connections, 7U);
}

TEST(Reconfiguration, EverythingElseIsTaken) {
  Options running;
  running.log.file = "/one.log";
  running.access_log = "/one.access";
  Options wanted = running;
  wanted.log.file = "/another.log";
  wanted.access_log = "/another.access";
  wanted.log.level = log::Level::debug;
  wanted.backlog = 5;
  wanted.transform = Transform::none;
  wanted.timeouts.idle = 5s;
  wanted.when_full = WhenFull::refuse;
  wanted.status_slots = 3;
  const Reconfiguration next = keep_what_cannot_change(wanted, running);
  EXPECT_THAT(next.kept, IsEmpty());
  EXPECT_EQ(next.options.log.file, "/another.log");
  EXPECT_EQ(next.options.access_log, "/another.access");
  EXPECT_EQ(next.options.log.level, log::Level::debug);
  EXPECT_EQ(next.options.backlog, 5);
  EXPECT_EQ(next.options.transform, Transform::none);
  EXPECT_EQ(next.options.timeouts.idle, 5s);
}

TEST(Reconfiguration, WhoAcceptsIsKept) {
  Options running;
  running.mode = Mode::pool;
  Options wanted = running;
  wanted.accept = Accept::lock;
  wanted.pool.max = 77;
  const Reconfiguration next = keep_what_cannot_change(wanted, running);
  EXPECT_THAT(next.kept, ElementsAre("--accept"));
  EXPECT_EQ(next.options.accept, Accept::shared);
  EXPECT_EQ(next.options.pool.max, 77U);
}

TEST(Reconfiguration, ThereAreAsManyWorkersAsQueues) {
  Options running;
  running.mode = Mode::pool;
  running.accept = Accept::reuseport;
  running.pool = {.start = 4, .min_spare = 4, .max_spare = 4, .max = 4};
  Options wanted = running;
  wanted.pool = {.start = 8, .min_spare = 8, .max_spare = 8, .max = 8};
  const Reconfiguration next = keep_what_cannot_change(wanted, running);
  EXPECT_THAT(next.kept, ElementsAre("--pool-start with --accept reuseport"));
  EXPECT_EQ(next.options.pool, running.pool);
}

TEST(Reconfiguration, NothingNewIsNothingKept) {
  const Options running;
  EXPECT_THAT(keep_what_cannot_change(running, running).kept, IsEmpty());
}

}  // namespace
}  // namespace forkecho::server
