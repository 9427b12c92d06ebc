// common/mp/examples/ten_children.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

TEST(TenChildren, PrintOnceEachAndOneMoreIsRefused) {
  PROVES("4.1");
  const Shown shown = run_example("ten_children");
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  EXPECT_EQ(shown.count("in parent process"), 10);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(shown.count("in child process " + std::to_string(i)), 1);
  EXPECT_EQ(shown.count("refused: Resource temporarily unavailable"), 1);
  EXPECT_EQ(shown.count("nobody runs this"), 0);
  EXPECT_TRUE(shown.ends_with_the_document());
}

}  // namespace
}  // namespace forkecho::tests
