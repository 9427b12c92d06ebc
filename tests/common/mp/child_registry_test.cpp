#include "common/mp/child_registry.h"

#include <gtest/gtest.h>

#include "common/mp/reap.h"
#include "tests/support/child.h"

namespace forkecho::mp {
namespace {

class ChildRegistryTest : public testing::Test {
 protected:
  // Numbers above the kernel's largest pid: no child can have them.
  static constexpr pid_t first = (1 << 22) + 1;
  static constexpr pid_t second = (1 << 22) + 2;
  static std::shared_ptr<ChildRecord> added(pid_t pid) {
    auto record = std::make_shared<ChildRecord>(ChildRecord{.pid = pid});
    ChildRegistry::add(record);
    return record;
  }
  void TearDown() override { ChildRegistry::forget_parents_children(); }
};

TEST_F(ChildRegistryTest, DeliversToTheRecordOfThePid) {
  const auto one = added(first);
  const auto other = added(second);
  ChildRegistry::deliver(second, -9);
  EXPECT_FALSE(one->exitcode);
  EXPECT_EQ(other->exitcode, -9);
}

TEST_F(ChildRegistryTest, DropsWhatWasDelivered) {
  const auto one = added(first);
  const auto other = added(second);
  ChildRegistry::deliver(first, 0);
  EXPECT_EQ(ChildRegistry::unreaped(), std::vector{other});
  ChildRegistry::deliver(first, 1);  // a later process of the same pid
  EXPECT_EQ(one->exitcode, 0);
}

TEST_F(ChildRegistryTest, KeepsTheOrderOfTheStarts) {
  const auto later = added(second);
  const auto latest = added(first);
  EXPECT_EQ(ChildRegistry::unreaped(), (std::vector{later, latest}));
}

TEST_F(ChildRegistryTest, AnUnknownPidChangesNothing) {
  const auto one = added(first);
  ChildRegistry::deliver(second, 0);
  EXPECT_EQ(ChildRegistry::unreaped(), std::vector{one});
}

TEST_F(ChildRegistryTest, TellsWhetherItDelivered) {
  added(first);
  EXPECT_FALSE(ChildRegistry::deliver(second, 0));
  EXPECT_TRUE(ChildRegistry::deliver(first, 0));
  EXPECT_FALSE(ChildRegistry::deliver(first, 0));
}

TEST_F(ChildRegistryTest, ANewChildsPidIsNoLongerAnyOthers) {
  const auto stale = added(first);
  const auto staler = added(first);
  const auto other = added(second);
  ChildRegistry::lose(first);
  EXPECT_EQ(stale->exitcode, exit_unknown);
  EXPECT_EQ(staler->exitcode, exit_unknown);
  EXPECT_EQ(ChildRegistry::unreaped(), std::vector{other});
}

TEST_F(ChildRegistryTest, ForgetsThemAll) {
  const auto one = added(first);
  EXPECT_TRUE(ChildRegistry::any());
  ChildRegistry::forget_parents_children();
  EXPECT_TRUE(ChildRegistry::unreaped().empty());
  EXPECT_FALSE(ChildRegistry::any());
}

TEST_F(ChildRegistryTest, ClosesForgottenLifelines) {
  tests::Pipe pipe;
  auto one = added(first);
  one->lifeline = std::move(pipe.write);
  EXPECT_FALSE(tests::readable(pipe.read.get(), sys::Deadline::immediately()));
  ChildRegistry::forget_parents_children();
  EXPECT_TRUE(tests::readable(pipe.read.get(), sys::Deadline::immediately()));
  EXPECT_FALSE(one->lifeline) << "its number may be another's soon";
}

TEST_F(ChildRegistryTest, TheLatestMayBeTakenBack) {
  const auto one = added(first);
  added(second);
  ChildRegistry::drop_latest();
  EXPECT_EQ(ChildRegistry::unreaped(), std::vector{one});
}

}  // namespace
}  // namespace forkecho::mp
