#include "common/mp/child_registry.h"

#include <gtest/gtest.h>

namespace forkecho::mp {
namespace {

class ChildRegistryTest : public testing::Test {
 protected:
  // Numbers above the kernel's largest pid: no child can have them.
  static constexpr pid_t first = (1 << 22) + 1;
  static constexpr pid_t second = (1 << 22) + 2;
  static std::shared_ptr<ChildRecord> added(pid_t pid) {
    auto record = std::make_shared<ChildRecord>(ChildRecord{.pid = pid, .exitcode = {}});
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

TEST_F(ChildRegistryTest, ForgetsThemAll) {
  const auto one = added(first);
  ChildRegistry::forget_parents_children();
  EXPECT_TRUE(ChildRegistry::unreaped().empty());
  EXPECT_EQ(one.use_count(), 1);
}

}  // namespace
}  // namespace forkecho::mp
