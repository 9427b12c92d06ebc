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
  wanted.max_connections = 7;
  const Reconfiguration next = keep_what_cannot_change(wanted, running);
  EXPECT_THAT(next.kept, ElementsAre("--listen", "--mode", "--control", "--pidfile", "--log-file"));
  EXPECT_EQ(next.options.listen, running.listen);
  EXPECT_EQ(next.options.mode, running.mode);
  EXPECT_EQ(next.options.control, running.control);
  EXPECT_EQ(next.options.pidfile, running.pidfile);
  EXPECT_EQ(next.options.log.file, running.log.file);
  EXPECT_EQ(next.options.max_connections, 7U);
}

TEST(Reconfiguration, EverythingElseIsTaken) {
  Options running;
  running.log.file = "/one.log";
  Options wanted = running;
  wanted.log.file = "/another.log";
  wanted.log.level = log::Level::debug;
  wanted.backlog = 5;
  wanted.transform = Transform::none;
  wanted.timeouts.idle = 5s;
  wanted.when_full = WhenFull::refuse;
  wanted.status_slots = 3;
  const Reconfiguration next = keep_what_cannot_change(wanted, running);
  EXPECT_THAT(next.kept, IsEmpty());
  EXPECT_EQ(next.options.log.file, "/another.log");
  EXPECT_EQ(next.options.log.level, log::Level::debug);
  EXPECT_EQ(next.options.backlog, 5);
  EXPECT_EQ(next.options.transform, Transform::none);
  EXPECT_EQ(next.options.timeouts.idle, 5s);
}

TEST(Reconfiguration, NothingNewIsNothingKept) {
  const Options running;
  EXPECT_THAT(keep_what_cannot_change(running, running).kept, IsEmpty());
}

}  // namespace
}  // namespace forkecho::server
