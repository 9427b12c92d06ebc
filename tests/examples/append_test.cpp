// common/mp/examples/append.cpp
#include "tests/examples/example.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

using testing::UnorderedElementsAre;

Lines part(const Shown& shown, std::ptrdiff_t from) {
  return {shown.lines.begin() + from, shown.lines.begin() + from + 5};
}

TEST(Append, FiveWholeLinesByNameAndByAnInheritedDescriptor) {
  PROVES("1.3");
  const Shown shown = run_example("append");
  EXPECT_EQ(shown.exitcode, 0) << shown.err;
  ASSERT_EQ(shown.lines.size(), 13u);
  const auto five = UnorderedElementsAre("  0 was here", "  1 was here", "  2 was here",
                                         "  3 was here", "  4 was here");
  EXPECT_EQ(shown.lines[0], "by the file's name, under a Lock:");
  EXPECT_THAT(part(shown, 1), five);
  EXPECT_EQ(shown.lines[6], "by an inherited descriptor, without a lock:");
  EXPECT_THAT(part(shown, 7), five);
  EXPECT_TRUE(shown.ends_with_the_document());
}

}  // namespace
}  // namespace forkecho::tests
