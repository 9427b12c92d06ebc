#include "common/mp/simple_queue.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/child.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

TEST(SimpleQueue, CarriesValuesBetweenProcessesInOrder) {
  PROVES("2.1");
  SimpleQueue<std::string> queue;
  EXPECT_TRUE(queue.empty());
  const auto exitcode = tests::exitcode_in_child([&] {
    queue.put("first");
    queue.put("second");
    return 0;
  });
  EXPECT_EQ(exitcode, 0);
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(queue.get(), "first");
  EXPECT_EQ(queue.get(), "second");
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.lost(), 0U);
}

TEST(SimpleQueue, WaitsUntilItsDeadlineAndNoLonger) {
  SimpleQueue<int> queue;
  EXPECT_EQ(queue.get(sys::Deadline::immediately()), std::nullopt);
  for (long i = 0; i < default_capacity; ++i)
    ASSERT_TRUE(queue.put(1, sys::Deadline::immediately()));
  EXPECT_FALSE(queue.put(1, sys::Deadline::immediately()));
  const pid_t getter = tests::start_child([&] { return queue.get() == 1 ? 0 : 1; });
  EXPECT_TRUE(queue.put(2, tests::patience()));
  EXPECT_EQ(tests::exitcode_of(getter), 0);
}

TEST(SimpleQueue, RefusesToBeUsedWhenClosed) {
  PROVES("cpython:test_closed_queue_put_get_exceptions");
  SimpleQueue<int> queue;
  queue.close();
  EXPECT_THROW(queue.put(1), std::logic_error);
  EXPECT_THROW(queue.get(), std::logic_error);
}

TEST(SimpleQueue, RefusesAMessageThatCouldNeverFit) {
  SimpleQueue<std::string> queue;
  EXPECT_THROW(queue.put(std::string(default_queue_bytes, 'x')), std::length_error);
}

}  // namespace
}  // namespace forkecho::mp
