#include "server/suggestion.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  struct Case {
    const char* left;
    const char* right;
    std::size_t distance;
  };
  for (const Case& c :
       {Case{"", "", 0}, Case{"", "abc", 3}, Case{"mode", "mode", 0}, Case{"mode", "node", 1},
        Case{"mode", "modes", 1}, Case{"mode", "moe", 1}, Case{"mode", "moed", 1},
        Case{"kitten", "sitting", 3}, Case{"ca", "abc", 3}}) {
    EXPECT_EQ(edit_distance(c.left, c.right), c.distance) << c.left << " " << c.right;
    EXPECT_EQ(edit_distance(c.right, c.left), c.distance) << c.right << " " << c.left;
  }
}

TEST(NearestName, IsTheNearestThatMayHaveBeenMeant) {
  const std::vector<std::string> known{"max-connections", "max-lifetime", "mode", "listen"};
  EXPECT_EQ(nearest_name("max-conections", known), "max-connections");
  EXPECT_EQ(nearest_name("max_connections", known), "max-connections");
  EXPECT_EQ(nearest_name("mod", known), "mode");
  EXPECT_EQ(nearest_name("lisent", known), "listen");
  EXPECT_EQ(nearest_name("colour", known), "");
  EXPECT_EQ(nearest_name("x", known), "");
  EXPECT_EQ(nearest_name("x", {}), "");
}

}  // namespace
}  // namespace forkecho::server
