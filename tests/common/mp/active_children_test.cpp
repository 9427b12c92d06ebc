#include "common/mp/active_children.h"

#include <gtest/gtest.h>

#include "common/mp/process.h"
#include "tests/support/child.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

TEST(ActiveChildren, AreThoseThatRunInTheOrderOfTheirStart) {
  EXPECT_TRUE(active_children().empty());
  tests::Gate end;
  Process first({.name = "first"}, [&] { end.pass(); });
  Process second({.name = "second", .daemon = true}, [&] { end.pass(); });
  EXPECT_TRUE(active_children().empty()) << "not started";
  first.start();
  second.start();
  const auto active = active_children();
  ASSERT_EQ(active.size(), 2U);
  EXPECT_EQ(active[0].pid, first.pid());
  EXPECT_EQ(active[0].name, "first");
  EXPECT_FALSE(active[0].daemon);
  EXPECT_EQ(active[1].pid, second.pid());
  EXPECT_EQ(active[1].name, "second");
  EXPECT_TRUE(active[1].daemon);
  end.open();
  EXPECT_TRUE(first.join(tests::patience()));
  EXPECT_TRUE(second.join(tests::patience()));
  EXPECT_TRUE(active_children().empty());
}

TEST(ActiveChildren, AreNotThoseOfTheParent) {
  tests::Gate end;
  Process sibling([&] { end.pass(); });
  sibling.start();
  Process child([] { leave(active_children().empty() ? 0 : 1); });
  child.start();
  EXPECT_TRUE(child.join(tests::patience()));
  EXPECT_EQ(child.exitcode(), 0);
  end.open();
  EXPECT_TRUE(sibling.join(tests::patience()));
}

}  // namespace
}  // namespace forkecho::mp
