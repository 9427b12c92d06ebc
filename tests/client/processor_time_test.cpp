#include "client/processor_time.h"

#include <gtest/gtest.h>

namespace forkecho::client {
namespace {

constexpr const char* proc_stat =
    "cpu  111 11 11 11 11 11 11 11 0 0\n"
    "cpu0 10 1 2 100 50 3 4 5 9 9\n"
    "cpu1 20 0 0 200 0 0 0 0 0 0\n"
    "cpu12 7 0 0 7 0 0 0 0 0 0\n"
    "intr 12345 0\n";

cpu_set_t processors(std::initializer_list<unsigned> numbers) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const unsigned number : numbers) CPU_SET(number, &set);
  return set;
}

TEST(ProcessorTime, IsOfTheAllowedProcessors) {
  const ProcessorUse first = read_processor_use(proc_stat, processors({0}));
  EXPECT_EQ(first.busy, 25U);
  EXPECT_EQ(first.all, 175U);
  const ProcessorUse two = read_processor_use(proc_stat, processors({1, 12}));
  EXPECT_EQ(two.busy, 27U);
  EXPECT_EQ(two.all, 234U);
  EXPECT_EQ(read_processor_use(proc_stat, processors({5})).all, 0U);
  EXPECT_EQ(read_processor_use("", processors({0})).all, 0U);
}

TEST(ProcessorTime, GoesOn) {
  const ProcessorUse before = processor_use();
  EXPECT_GT(before.all, 0U);
  EXPECT_LE(before.busy, before.all);
  const std::uint64_t waited = time_waiting_for_processor_ns();
  EXPECT_GE(time_waiting_for_processor_ns(), waited);
}

}  // namespace
}  // namespace forkecho::client
