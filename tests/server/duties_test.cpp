#include "server/duties.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <asio/io_context.hpp>

#include "server/options.h"
#include "tests/support/child.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using tests::content_of;

void no_answer(const std::string&, const ControlSocket::Reply&) {}

sys::Descriptor copy_of(int fd) {
  return sys::Descriptor(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

class DutiesTest : public testing::Test {
 protected:
  DutiesTest() {
    options_.pidfile = directory_.path("d.pid");
    options_.control = directory_.path("d.sock");
  }
  /// What a daemon that replaces the one with `duties` begins with.
  static Inheritance handed_down(const Duties& duties) {
    Inheritance inherited;
    inherited.channel = sys::Descriptor(open("/dev/null", O_RDWR | O_CLOEXEC));
    inherited.pidfile = copy_of(duties.pid_file());
    inherited.control = copy_of(duties.control());
    return inherited;
  }
  std::string named() const { return content_of(options_.pidfile); }
  bool answers() const {
    return bool(tests::try_connect(sys::SocketAddress::of_unix_path(options_.control)));
  }
  static std::string line(pid_t pid) { return std::to_string(pid) + "\n"; }

  const tests::TempDir directory_;
  Options options_;
  asio::io_context context_{1};
  Inheritance nothing_;
};

TEST_F(DutiesTest, AreTheirsWhoStartsByItselfAndGoWithIt) {
  {
    const Duties duties(context_, options_, nothing_, no_answer);
    EXPECT_TRUE(duties.are_ours());
    EXPECT_EQ(named(), line(getpid()));
    EXPECT_TRUE(answers());
    EXPECT_THAT(duties.descriptors(), testing::ElementsAre(duties.pid_file(), duties.control()));
  }
  EXPECT_NE(access(options_.pidfile.c_str(), F_OK), 0);
  EXPECT_NE(access(options_.control.c_str(), F_OK), 0);
}

TEST_F(DutiesTest, StayWithTheDaemonBeforeUntilTakenUp) {
  Duties old(context_, options_, nothing_, no_answer);
  old.hand_to(4711);
  EXPECT_TRUE(old.are_ours());  // until it has heard that they were taken up
  EXPECT_EQ(named(), line(4711));
  Inheritance inherited = handed_down(old);
  Duties fresh(context_, options_, inherited, no_answer);
  EXPECT_FALSE(fresh.are_ours());
  EXPECT_EQ(named(), line(4711));
  fresh.take_up("serving");
  EXPECT_TRUE(fresh.are_ours());
  EXPECT_EQ(named(), line(getpid()));
}

TEST_F(DutiesTest, WhatWasTakenOutlivesTheDaemonBefore) {
  auto old = std::make_unique<Duties>(context_, options_, nothing_, no_answer);
  Inheritance inherited = handed_down(*old);
  Duties fresh(context_, options_, inherited, no_answer);
  old->hand_to(getpid());
  fresh.take_up("serving");
  old->leave({old->pid_file(), old->control()});
  EXPECT_FALSE(old->are_ours());
  old.reset();
  EXPECT_EQ(named(), line(getpid()));
  EXPECT_TRUE(answers());
}

TEST_F(DutiesTest, WhatWasNotTakenIsRemoved) {
  {
    Duties old(context_, options_, nothing_, no_answer);
    old.leave({});
  }
  EXPECT_NE(access(options_.pidfile.c_str(), F_OK), 0);
  EXPECT_NE(access(options_.control.c_str(), F_OK), 0);
}

TEST_F(DutiesTest, AreTakenBackWhenTheSuccessorFails) {
  Duties duties(context_, options_, nothing_, no_answer);
  duties.hand_to(4711);
  duties.take_back();
  EXPECT_TRUE(duties.are_ours());
  EXPECT_EQ(named(), line(getpid()));
  EXPECT_TRUE(answers());
}

}  // namespace
}  // namespace forkecho::server
