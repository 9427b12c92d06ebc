#include "common/mp/current_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

TEST(CurrentProcess, TheMainProcess) {
  PROVES("2.3");
  EXPECT_EQ(current_process().name(), "MainProcess");
  EXPECT_EQ(current_process().pid(), getpid());
  EXPECT_FALSE(current_process().daemon());
  EXPECT_EQ(current_process().authkey().size(), 32U);
  EXPECT_EQ(parent_process(), nullptr);
}

TEST(CurrentProcess, ABareForkIsNoNewProcess) {
  EXPECT_EQ(tests::exitcode_in_child([key = current_process().authkey()] {
              const auto& self = current_process();
              return self.name() == "MainProcess" && self.pid() == getpid() &&
                             self.authkey() == key && parent_process() == nullptr
                         ? 0
                         : 1;
            }),
            0);
}

TEST(CurrentProcess, MayChangeItsNameAndKey) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              const AuthKey key(3, std::byte{1});
              current_process().set_name("another");
              current_process().set_authkey(key);
              Process child([key] {
                leave(current_process().authkey() == key && parent_process()->name() == "another"
                          ? 0
                          : 1);
              });
              child.start();
              child.join();
              return current_process().name() == "another" ? child.exitcode().value_or(9) : 2;
            }),
            0);
}

TEST(CurrentProcess, OfAChildsBareForkHasNoParentProcess) {
  Process child([] {
    leave(tests::exitcode_in_child([] { return parent_process() == nullptr ? 0 : 1; }).value_or(9));
  });
  child.start();
  EXPECT_TRUE(child.join(tests::patience()));
  EXPECT_EQ(child.exitcode(), 0);
}

TEST(ParentProcess, IsKnownByPidAndName) {
  Process child([parent = getpid()] {
    ParentProcess* const known = parent_process();
    leave(known != nullptr && known->pid() == parent && known->name() == "MainProcess" &&
                  known->is_alive() && !known->join(sys::Deadline::immediately())
              ? 0
              : 1);
  });
  child.start();
  EXPECT_TRUE(child.join(tests::patience()));
  EXPECT_EQ(child.exitcode(), 0);
}

TEST(ParentProcess, ItsEndIsSeen) {
  const tests::AdoptOrphans adopt;
  for (const bool asked_before : {true, false}) {
    RawValue<std::atomic<pid_t>> child;
    Gate ready;
    Gate killed;
    Process parent([&] {
      Process watcher([&] {
        *child = getpid();
        ParentProcess& above = *parent_process();
        if (asked_before && tests::readable(above.sentinel(), sys::Deadline::immediately()))
          leave(1);
        const bool was_alive = above.is_alive();
        ready.open();
        if (!killed.pass()) leave(2);
        leave(was_alive && above.join(tests::patience()) && !above.is_alive() &&
                      tests::readable(above.sentinel())
                  ? 0
                  : 3);
      });
      watcher.start();
      pause();
    });
    parent.start();
    ASSERT_TRUE(ready.pass());
    parent.kill();
    EXPECT_TRUE(parent.join(tests::patience()));
    killed.open();
    EXPECT_EQ(tests::exitcode_of(*child), 0);
  }
}

}  // namespace
}  // namespace forkecho::mp
