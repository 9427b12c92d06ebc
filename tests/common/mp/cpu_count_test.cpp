#include "common/mp/cpu_count.h"

#include <gtest/gtest.h>
#include <sched.h>

#include "tests/support/child.h"

namespace forkecho::mp {
namespace {

TEST(CpuCount, IsWhatTheProcessMayRunOn) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  EXPECT_EQ(cpu_count(), static_cast<unsigned>(CPU_COUNT(&allowed)));
  EXPECT_EQ(tests::exitcode_in_child([&] {
              int first = 0;
              while (!CPU_ISSET(first, &allowed)) ++first;
              cpu_set_t one;
              CPU_ZERO(&one);
              CPU_SET(first, &one);
              if (sched_setaffinity(0, sizeof one, &one) != 0) return 99;
              return static_cast<int>(cpu_count());
            }),
            1);
}

}  // namespace
}  // namespace forkecho::mp
