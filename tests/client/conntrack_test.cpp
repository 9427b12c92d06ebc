#include "client/conntrack.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace forkecho::client {
namespace {

TEST(Conntrack, IsReadWhereTheKernelTellsIt) {
  const std::string folder =
      ::testing::TempDir() + "forkecho-conntrack-" + std::to_string(getpid());
  EXPECT_FALSE(read_conntrack(folder));
  std::filesystem::create_directory(folder);
  std::ofstream(folder + "/nf_conntrack_count") << "1234\n";
  std::ofstream(folder + "/nf_conntrack_max") << "262144\n";
  const auto table = read_conntrack(folder);
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(table);
  EXPECT_EQ(table->tracked, 1234U);
  EXPECT_EQ(table->limit, 262144U);
}

TEST(Conntrack, IsExhaustedWhenItIsNearlyFull) {
  EXPECT_TRUE(is_exhausted({.tracked = 1000, .limit = 1000}));
  EXPECT_TRUE(is_exhausted({.tracked = 950, .limit = 1000}));
  EXPECT_FALSE(is_exhausted({.tracked = 949, .limit = 1000}));
}

}  // namespace
}  // namespace forkecho::client
