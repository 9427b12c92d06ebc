#include "client/boxed.h"

#include <gtest/gtest.h>

#include <utility>

namespace forkecho::client {
namespace {

TEST(Boxed, CopiesAreValues) {
  Boxed<int> one(1);
  Boxed<int> two = one;
  *two = 2;
  EXPECT_EQ(*one, 1);
  one = two;
  *two = 3;
  EXPECT_EQ(*one, 2);
}

TEST(Boxed, BeginsValueInitialised) {
  EXPECT_EQ(*Boxed<int>(), 0);
}

TEST(Boxed, MovesKeepTheObject) {
  Boxed<int> one(7);
  const int* where = &*one;
  const Boxed<int> two = std::move(one);
  EXPECT_EQ(&*two, where);
}

}  // namespace
}  // namespace forkecho::client
