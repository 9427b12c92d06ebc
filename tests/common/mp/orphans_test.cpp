#include "common/mp/orphans.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

TEST(Orphans, AreAdoptedAndReaped) {
  PROVES("3.5");
  adopt_orphans();
  RawValue<std::atomic<pid_t>> orphan;
  Gate ready;
  Gate end;
  Process parent([&] {
    Process child([&] { leave(end.pass() ? 6 : 1); });
    child.start();
    *orphan = *child.pid();
    ready.open();
    pause();
  });
  parent.start();
  ASSERT_TRUE(ready.pass());
  parent.kill();
  EXPECT_TRUE(parent.join(tests::patience()));
  EXPECT_EQ(tests::status_of(*orphan).parent, getpid());
  EXPECT_TRUE(reap_orphans().empty()) << "it runs still";
  end.open();
  ASSERT_TRUE(tests::readable(open_sentinel(*orphan).get()));
  const auto ended = reap_orphans();
  adopt_orphans(false);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended.front().pid, *orphan);
  EXPECT_EQ(ended.front().exitcode, 6);
}

TEST(Orphans, ReapingThemTakesNoExitFromAProcess) {
  Process child([] { leave(12); });
  child.start();
  ASSERT_TRUE(tests::readable(child.sentinel()));
  EXPECT_TRUE(reap_orphans().empty());
  EXPECT_EQ(child.exitcode(), 12);
}

TEST(Orphans, ArePassedOnWhereNobodyAdopts) {
  PROVES("3.5");
  EXPECT_EQ(tests::exitcode_in_child([] {
              adopt_orphans();
              adopt_orphans(false);
              RawValue<std::atomic<pid_t>> orphan;
              Gate end;
              Process parent([&] {
                Process child({.detached = true}, [&] { end.pass(); });
                child.start();
                *orphan = *child.pid();
              });
              parent.start();
              if (!parent.join(tests::patience())) return 1;
              const bool passed_on = tests::status_of(*orphan).parent != getpid();
              end.open();
              return passed_on ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace forkecho::mp
