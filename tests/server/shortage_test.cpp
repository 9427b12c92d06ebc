#include "server/shortage.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>

#include "common/log/log.h"
#include "tests/support/child.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

TEST(Remedy, NamesTheLimitThatWasMet) {
  EXPECT_EQ(remedy_of(EMFILE), "raise ulimit -n");
  EXPECT_EQ(remedy_of(ENFILE), "raise fs.file-max");
  EXPECT_NE(remedy_of(EAGAIN).find("ulimit -u"), std::string::npos);
  EXPECT_NE(remedy_of(EAGAIN).find("pids.max"), std::string::npos);
  EXPECT_NE(remedy_of(ENOMEM).find("memory"), std::string::npos);
  EXPECT_EQ(remedy_of(ENOBUFS), remedy_of(ENOMEM));
  EXPECT_FALSE(remedy_of(EIO).empty());
}

TEST(IsShortage, TellsWhatMayComeBackFromWhatIsABug) {
  for (const int error : {EMFILE, ENFILE, EAGAIN, ENOMEM, ENOBUFS}) EXPECT_TRUE(is_shortage(error));
  for (const int error : {EBADF, EINVAL, EPERM, 0}) EXPECT_FALSE(is_shortage(error));
}

/// The lines of the log that `body` writes, in a process of its own.
template <typename Body>
std::string log_of(Body body) {
  const tests::TempDir directory;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              log::open({.file = directory.path("log")});
              body();
              return 0;
            }),
            0);
  return tests::content_of(directory.path("log"));
}

TEST(RepeatedWarning, IsOneLineWithTheRemedyAndCountsWhatItLeavesOut) {
  const std::string log = log_of([] {
    RepeatedWarning warning;
    for (int i = 0; i < 5; ++i) warning.tell("cannot accept", EMFILE, "clients wait");
    poll(nullptr, 0, 1010);
    warning.tell("cannot accept", EMFILE, "clients wait");
  });
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2) << log;
  EXPECT_NE(
      log.find("warning: cannot accept: Too many open files; clients wait (raise ulimit -n)\n"),
      std::string::npos)
      << log;
  EXPECT_NE(log.find("; 4 times more since the last line\n"), std::string::npos) << log;
}

TEST(Shortage, LastsForItsPause) {
  log_of([] {
    Shortage shortage;
    EXPECT_FALSE(shortage.lasts());
    EXPECT_TRUE(shortage.until().is_never());
    const auto begin = sys::Clock::now();
    shortage.begin("x", EMFILE, "y");
    EXPECT_TRUE(shortage.lasts());
    EXPECT_GE(shortage.until().when(), begin + Shortage::pause);
    shortage.refresh();
    EXPECT_TRUE(shortage.lasts());
    poll(nullptr, 0, shortage.until().poll_timeout_ms());
    shortage.refresh();
    EXPECT_FALSE(shortage.lasts());
    EXPECT_TRUE(shortage.until().is_never());
    if (testing::Test::HasFailure()) _exit(1);
  });
}

/// A request that arrives after the half-close would be answered with a reset by a close at once.
TEST(Shortage, WhoIsSeenOffHearsAnOrderlyEnd) {
  log_of([] {
    int ends[2];
    sys::check_syscall(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
    const sys::Descriptor client(ends[0]);
    Shortage shortage;
    EXPECT_TRUE(tests::send_all(client.get(), "early"));
    shortage.begin("x", EAGAIN, "y");
    shortage.see_off({.socket = sys::Descriptor(ends[1]), .peer = {}});
    EXPECT_TRUE(tests::send_all(client.get(), "late"));
    EXPECT_EQ(tests::receive_to_end(client.get()), "");
    poll(nullptr, 0, shortage.until().poll_timeout_ms());
    shortage.refresh();
    // Nothing was left unread: on a unix socket that would be a reset.
    char byte = 0;
    EXPECT_EQ(recv(client.get(), &byte, 1, 0), 0);
    EXPECT_LT(send(client.get(), "x", 1, MSG_NOSIGNAL), 0) << "it was not closed";
    if (testing::Test::HasFailure()) _exit(1);
  });
}

TEST(SpareDescriptor, GivesUpStandardInputOnceAndTakesItBack) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              SpareDescriptor spare;
              spare.take_back();
              if (!spare.give_up()) return 1;
              if (fcntl(STDIN_FILENO, F_GETFD) != -1) return 2;
              if (spare.give_up()) return 3;
              spare.take_back();
              if (fcntl(STDIN_FILENO, F_GETFD) == -1) return 4;
              if (!spare.give_up()) return 5;
              const int client = dup(STDERR_FILENO);
              if (client != STDIN_FILENO) return 6;
              spare.take_back();  // somebody has it
              if (spare.give_up()) return 7;
              return fcntl(STDIN_FILENO, F_GETFD) == -1 ? 8 : 0;
            }),
            0);
}

}  // namespace
}  // namespace forkecho::server
