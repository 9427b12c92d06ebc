// A parent, or a child, is killed at every step of its start and its end, and at random moments.
// What must hold whatever the moment: who survives sees the death and goes on; a daemon child is
// gone when its parent is; another one lives on, or was never born; no process is left that nobody
// can see.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/mp/orphans.h"
#include "common/mp/process.h"
#include "common/mp/wait.h"
#include "tests/support/child.h"
#include "tests/support/kill_at_step.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

using tests::KillCount;

constexpr int random_kills = 400;

/// Steps that the parent comes to when it starts a child, and when it ends.
const std::vector<std::string> parents_steps{"process.start.flushed", "process.start.forked",
                                             "process.finish.told"};
/// Steps that a child comes to.
const std::vector<std::string> childs_steps{"process.child.born", "process.child.bound",
                                            "process.child.ready", "process.leave.flushed"};

/// True when every child of this process, adopted ones included, ended in good time; they are
/// reaped.
bool everyone_ends() {
  for (const auto deadline = tests::patience();;) {
    const Reaped next = reap_any();
    if (next.none_left) return true;
    if (deadline.passed()) return false;
    if (!next.exit) usleep(100);
  }
}

struct Tree {
  RawValue<std::atomic<int>> lived;  // targets that were run
  tests::Pipe alive;                 // held by every process of the tree, and by nobody else
};

/// Whose children are daemons, started by the first thread or by another one.
enum class Kind { daemon, daemon_of_thread };

/// The life of a parent that has one daemon child, which never ends by itself.
int start_daemon_and_leave(Kind kind, Tree& tree) {
  Process daemon({.daemon = true}, [&] {
    ++*tree.lived;
    for (;;) pause();
  });
  if (kind == Kind::daemon) {
    daemon.start();
  } else {
    std::thread([&] { daemon.start(); }).join();
  }
  finish_children();
  return 0;
}

/// True when no process of the tree is left.
bool is_gone(Tree& tree) {
  tree.alive.write.reset();
  return tests::readable(tree.alive.read.get());
}

class ProcessKilled : public testing::Test {
 protected:
  const tests::AdoptOrphans adopt_;
  KillCount kills_;
};

TEST_F(ProcessKilled, AParentAtEachStepTakesItsDaemonsWithIt) {
  PROVES("0.9");
  for (const Kind kind : {Kind::daemon, Kind::daemon_of_thread}) {
    for (const std::string& step : parents_steps) {
      for (int round = 0; round < 30; ++round) {
        Tree tree;
        const unsigned before = kills_.count();
        const pid_t parent = tests::start_child([&] {
          tests::kill_at_step(step, kills_);
          return start_daemon_and_leave(kind, tree);
        });
        ASSERT_EQ(tests::exitcode_of(parent), -SIGKILL) << step;
        ASSERT_EQ(kills_.count(), before + 1) << step;
        ASSERT_TRUE(is_gone(tree)) << step;
        ASSERT_TRUE(everyone_ends()) << step;
      }
    }
  }
}

TEST_F(ProcessKilled, AParentAtAnyMomentTakesItsDaemonsWithIt) {
  PROVES("0.9");
  std::minstd_rand random(1);
  for (int round = 0; round < tests::soak(random_kills, 20 * random_kills); ++round) {
    const Kind kind = round % 4 == 0 ? Kind::daemon_of_thread : Kind::daemon;
    Tree tree;
    const pid_t parent = tests::start_child([&] {
      for (;;) {
        const int failed = start_daemon_and_leave(kind, tree);
        if (failed != 0) return failed;
      }
    });
    usleep(static_cast<useconds_t>(random() % 600));
    kill(parent, SIGKILL);
    ASSERT_EQ(tests::exitcode_of(parent), -SIGKILL);
    ASSERT_TRUE(is_gone(tree));
    ASSERT_TRUE(everyone_ends());
  }
}

TEST_F(ProcessKilled, AnotherChildOutlivesItsParentAndIsAdopted) {
  PROVES("3.5");
  for (const std::string step : {"process.start.flushed", "process.start.forked"}) {
    for (int round = 0; round < 50; ++round) {
      Tree tree;
      tests::Gate go_on;
      const pid_t parent = tests::start_child([&] {
        tests::kill_at_step(step, kills_);
        Process child([&] {
          if (go_on.pass()) ++*tree.lived;
        });
        child.start();
        return 0;
      });
      ASSERT_EQ(tests::exitcode_of(parent), -SIGKILL) << step;
      go_on.open();
      ASSERT_TRUE(everyone_ends()) << step;
      ASSERT_EQ(*tree.lived, step == "process.start.forked" ? 1 : 0);
      ASSERT_TRUE(is_gone(tree));
    }
  }
  EXPECT_EQ(kills_.count(), 100U);
}

/// What a parent sees of a child that was to be killed: join, sentinel, is_alive and exitcode
/// agree.
void expect_seen_dead(Process& child) {
  ASSERT_EQ(wait({child}, tests::patience()).size(), 1U);
  ASSERT_TRUE(child.join(tests::patience()));
  ASSERT_FALSE(child.is_alive());
  ASSERT_EQ(child.exitcode(), -SIGKILL);
}

TEST_F(ProcessKilled, AChildAtEachStepIsSeenByItsParent) {
  PROVES("0.2", "4.3");
  for (const std::string& step : childs_steps) {
    for (int round = 0; round < 50; ++round) {
      const unsigned before = kills_.count();
      RawValue<std::atomic<int>> lived;
      Process child({.daemon = true}, [&] { ++*lived; });
      // The step is chosen here, and the parent comes to none of these.
      tests::kill_at_step(step, kills_);
      child.start();
      step_observer = nullptr;
      expect_seen_dead(child);
      ASSERT_EQ(kills_.count(), before + 1) << step;
      ASSERT_EQ(*lived, step == "process.leave.flushed" ? 1 : 0) << step;
    }
  }
}

TEST_F(ProcessKilled, AChildAtAnyMomentIsSeenByItsParent) {
  PROVES("0.2", "4.2");
  std::minstd_rand random(2);
  for (int round = 0; round < tests::soak(random_kills, 20 * random_kills); ++round) {
    Process child([] {
      for (;;) Process([] {}).start();  // dies within its own start, too
    });
    child.start();
    usleep(static_cast<useconds_t>(random() % 300));
    child.kill();
    expect_seen_dead(child);
    ASSERT_TRUE(everyone_ends());
  }
}

TEST_F(ProcessKilled, SiblingsGoOn) {
  tests::Gate over;
  std::vector<Process> siblings;
  for (int i = 0; i < 20; ++i) {
    siblings.emplace_back([&, i] { leave(over.pass() ? i : 99); });
    siblings.back().start();
  }
  for (std::size_t i = 0; i < siblings.size(); i += 2) siblings[i].kill();
  for (std::size_t i = 0; i < siblings.size(); i += 2) expect_seen_dead(siblings[i]);
  EXPECT_EQ(active_children().size(), 10U);
  over.open();
  for (std::size_t i = 1; i < siblings.size(); i += 2) {
    EXPECT_TRUE(siblings[i].join(tests::patience()));
    EXPECT_EQ(siblings[i].exitcode(), static_cast<int>(i));
  }
}

}  // namespace
}  // namespace forkecho::mp
