#include "common/mp/leave.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

/// How a main program, or a child, may end in good order.
enum class End { leave, exit };

[[noreturn]] void end(End how, int code) {
  if (how == End::leave) leave(code);
  std::exit(code);
}

/// Everything that comes out of the reading end until its end of file.
std::string all_of(int descriptor) {
  std::string text;
  char byte = 0;
  while (tests::readable(descriptor) && read(descriptor, &byte, 1) == 1) text += byte;
  return text;
}

class LeaveTest : public testing::TestWithParam<End> {};

// The first process says "over" and goes; its end is seen only after its child's.
TEST_P(LeaveTest, WaitsForChildren) {
  PROVES("0.9", "1.1");
  tests::Pipe output;
  Gate over_was_read;
  const pid_t main = tests::start_child([&]() -> int {
    dup2(output.write.get(), STDOUT_FILENO);
    Process child([&] {
      if (over_was_read.pass()) std::printf("child ");
    });
    child.start();
    std::printf("over ");
    output.write.reset();
    end(GetParam(), 5);
  });
  output.write.reset();
  char text[10] = "";
  ASSERT_EQ(read(output.read.get(), text, sizeof text), 5) << "written before the wait";
  EXPECT_STREQ(text, "over ");
  EXPECT_TRUE(tests::sleeps(main));
  over_was_read.open();
  EXPECT_EQ(all_of(output.read.get()), "child ");
  EXPECT_EQ(tests::exitcode_of(main), 5);
}

TEST_P(LeaveTest, WaitsForChildrenWhoseProcessIsGone) {
  tests::Pipe alive;
  const pid_t main = tests::start_child([&]() -> int {
    {
      Process child([] { usleep(20'000); });  // not for luck: without the wait it is met alive
      child.start();
    }
    end(GetParam(), 0);
  });
  EXPECT_EQ(tests::exitcode_of(main), 0);
  alive.write.reset();
  EXPECT_EQ(all_of(alive.read.get()), "") << "nobody holds the pipe when main has ended";
}

TEST_P(LeaveTest, EndsDaemonsWithATerm) {
  PROVES("0.9", "2.5", "3.6");
  tests::Pipe output;
  const pid_t main = tests::start_child([&]() -> int {
    static int out;
    out = output.write.get();
    Gate ready;
    Process daemon({.daemon = true}, [&] {
      std::signal(SIGTERM, [](int) {
        const bool written = write(out, "told ", 5) == 5;
        _exit(written ? 0 : 1);
      });
      ready.open();
      for (;;) pause();
    });
    daemon.start();
    if (!ready.pass()) return 1;
    end(GetParam(), 0);
  });
  output.write.reset();
  EXPECT_EQ(tests::exitcode_of(main), 0);
  EXPECT_EQ(all_of(output.read.get()), "told ");
}

TEST_P(LeaveTest, KillsADaemonThatDoesNotEnd) {
  tests::Pipe alive;
  const auto begin = sys::Clock::now();
  const pid_t main = tests::start_child([&]() -> int {
    Gate ready;
    Process daemon({.daemon = true}, [&] {
      std::signal(SIGTERM, SIG_IGN);
      ready.open();
      for (;;) pause();
    });
    daemon.start();
    if (!ready.pass()) return 1;
    end(GetParam(), 0);
  });
  alive.write.reset();
  EXPECT_EQ(tests::exitcode_of(main), 0);
  EXPECT_GE(sys::Clock::now() - begin, daemon_grace);
  EXPECT_EQ(all_of(alive.read.get()), "") << "the daemon is gone";
}

TEST_P(LeaveTest, DoesNotWaitForADaemonThatItMayNotSignal) {
  if (geteuid() != 0) GTEST_SKIP() << "needs a second user";
  const tests::AdoptOrphans adopt;
  RawValue<std::atomic<pid_t>> anothers;
  Gate over;
  const pid_t main = tests::start_child([&]() -> int {
    Gate bound;
    Process daemon({.daemon = true}, [&] {
      bound.open();
      // Longer than the end of main is waited for below.
      leave(over.pass(sys::Deadline::after(std::chrono::seconds(60))) ? 3 : 1);
    });
    daemon.start();
    *anothers = *daemon.pid();
    if (!bound.pass()) return 1;
    sys::check_syscall(setresuid(65534, 65534, 65534), "setresuid");
    end(GetParam(), 0);
  });
  EXPECT_EQ(tests::exitcode_of(main), 0);
  over.open();
  EXPECT_EQ(tests::exitcode_of(*anothers), 3);
}

TEST_P(LeaveTest, LeavesDetachedChildrenAlone) {
  const tests::AdoptOrphans adopt;
  RawValue<std::atomic<pid_t>> detached;
  RawValue<std::atomic<pid_t>> daemon;
  Gate go_on;
  const pid_t main = tests::start_child([&]() -> int {
    Process before({.detached = true}, [&] { leave(go_on.pass() ? 3 : 1); });
    before.start();
    *detached = *before.pid();
    Process after([&] { leave(go_on.pass() ? 4 : 1); });
    after.start();
    after.detach();
    *daemon = *after.pid();
    end(GetParam(), 0);
  });
  EXPECT_EQ(tests::exitcode_of(main), 0);
  go_on.open();
  EXPECT_EQ(tests::exitcode_of(*detached), 3);
  EXPECT_EQ(tests::exitcode_of(*daemon), 4);
}

TEST_P(LeaveTest, KeepsItsCodeWhateverItsChildrensIs) {
  EXPECT_EQ(tests::exitcode_in_child([]() -> int {
              Process child([] { leave(9); });
              child.start();
              end(GetParam(), 6);
            }),
            6);
}

TEST_P(LeaveTest, AForkedCopyWaitsForNobodysChildren) {
  Gate over;
  Process child([&] { over.pass(); });
  child.start();
  EXPECT_EQ(tests::exitcode_in_child([]() -> int { end(GetParam(), 8); }), 8);
  over.open();
  EXPECT_TRUE(child.join(tests::patience()));
}

INSTANTIATE_TEST_SUITE_P(Ends, LeaveTest, testing::Values(End::leave, End::exit),
                         [](const auto& end) {
                           return end.param == End::leave ? "Leave" : "Exit";
                         });

TEST(Leave, ACodeThatNoProcessCanHaveIs255) {
  for (const int code : {-1, 256, 512}) {
    EXPECT_EQ(tests::exitcode_in_child([code]() -> int { leave(code); }), 255) << code;
  }
}

TEST(Leave, AChildWaitsForItsOwnChildren) {
  PROVES("1.1");
  const tests::AdoptOrphans adopt;
  RawValue<std::atomic<pid_t>> grandchild;
  Gate go_on;
  Process child([&] {
    Process its_own([&] { go_on.pass(); });
    its_own.start();
    *grandchild = *its_own.pid();
  });
  child.start();
  EXPECT_FALSE(child.join(sys::Deadline::after(std::chrono::milliseconds(50))));
  go_on.open();
  EXPECT_TRUE(child.join(tests::patience()));
  EXPECT_EQ(tests::state_of(*grandchild), '-');
}

// The demonstration of the notes: the child would print three lines, and prints one.
TEST(Leave, ADaemonHasSaidOneLineOfThree) {
  PROVES("3.6");
  tests::Pipe output;
  const auto lines_of = [&](bool daemon) {
    const pid_t main = tests::start_child([&]() -> int {
      Gate said;
      Gate never;
      Process child({.daemon = daemon}, [&] {
        const int out = output.write.get();
        if (write(out, "1", 1) != 1) leave(1);
        said.open();
        // A daemon is ended in here.
        if (daemon) never.pass();
        if (write(out, "23", 2) != 2) leave(1);
      });
      child.start();
      if (!said.pass()) return 1;
      leave(0);
    });
    EXPECT_EQ(tests::exitcode_of(main), 0);
    char lines[4] = "";
    EXPECT_GT(read(output.read.get(), lines, 3), 0);
    return std::string(lines);
  };
  EXPECT_EQ(lines_of(true), "1");
  EXPECT_EQ(lines_of(false), "123");
}

}  // namespace
}  // namespace forkecho::mp
