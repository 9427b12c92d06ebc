#include "common/sys/descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

#include "tests/support/child.h"

namespace forkecho::sys {
namespace {

int open_null() {
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}
bool is_open(int fd) {
  return fcntl(fd, F_GETFD) != -1;
}

TEST(Descriptor, OwnsNothingAtFirst) {
  const Descriptor none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.get(), -1);
}

TEST(Descriptor, ZeroIsADescriptor) {
  Descriptor input(0);
  EXPECT_TRUE(input);
  EXPECT_EQ(input.release(), 0);
}

TEST(Descriptor, ClosesAtTheEndOfItsScope) {
  int number = -1;
  {
    const Descriptor file(open_null());
    number = file.get();
    ASSERT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(Descriptor, AMoveLeavesTheSourceEmpty) {
  Descriptor first(open_null());
  const int number = first.get();
  const Descriptor second(std::move(first));
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is the question
  EXPECT_EQ(second.get(), number);
  EXPECT_TRUE(is_open(number));
}

TEST(Descriptor, AnAssignmentClosesWhatWasOwnedBefore) {
  Descriptor first(open_null());
  Descriptor second(open_null());
  const int closed = first.get();
  const int kept = second.get();
  first = std::move(second);
  EXPECT_FALSE(is_open(closed));
  EXPECT_TRUE(is_open(kept));
  EXPECT_EQ(first.get(), kept);
}

TEST(Descriptor, AssignedToItselfItStaysOpen) {
  Descriptor file(open_null());
  Descriptor& same = file;
  file = std::move(same);
  EXPECT_TRUE(is_open(file.get()));
}

TEST(Descriptor, ReleaseGivesUpWithoutClosing) {
  Descriptor file(open_null());
  const int number = file.release();
  EXPECT_FALSE(file);
  EXPECT_TRUE(is_open(number));
  close(number);
}

TEST(Descriptor, ResetClosesAndTakesTheNext) {
  Descriptor file(open_null());
  const int first = file.get();
  const int second = open_null();
  file.reset(second);
  EXPECT_FALSE(is_open(first));
  EXPECT_EQ(file.get(), second);
  file.reset();
  EXPECT_FALSE(is_open(second));
  EXPECT_FALSE(file);
}

TEST(Descriptor, AChildClosesOnlyItsOwnCopy) {
  Descriptor file(open_null());
  EXPECT_EQ(tests::exitcode_in_child([&] {
              file.reset();
              return 0;
            }),
            0);
  EXPECT_TRUE(is_open(file.get()));
}

}  // namespace
}  // namespace forkecho::sys
