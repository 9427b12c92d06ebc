#include "client/machine.h"

#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

TEST(Machine, TellsWhatItIs) {
  const Machine machine = this_machine();
  EXPECT_FALSE(machine.processor.empty());
  EXPECT_GE(machine.processors, 1U);
  EXPECT_GT(machine.memory_bytes, 1U << 20);
  EXPECT_EQ(machine.kernel.substr(0, 6), "Linux ");
}

}  // namespace
}  // namespace forkecho::client
