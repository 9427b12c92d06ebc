#include "client/counter.h"

#include <gtest/gtest.h>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"

namespace forkecho::client {
namespace {

TEST(Counter, CountsFromZero) {
  Counter counter{};
  counter.add(2);
  counter.add(3);
  EXPECT_EQ(counter.get(), 5U);
  counter.set(1);
  EXPECT_EQ(counter.get(), 1U);
}

TEST(Counter, IsSeenByTheOtherProcess) {
  const mp::RawValue<Counter> counter;
  mp::Process writer([&] {
    for (int i = 0; i < 1000; ++i) counter->add(1);
  });
  writer.start();
  writer.join();
  EXPECT_EQ(counter->get(), 1000U);
}

}  // namespace
}  // namespace forkecho::client
