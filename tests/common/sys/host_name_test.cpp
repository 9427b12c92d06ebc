#include "common/sys/host_name.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace forkecho::sys {
namespace {

TEST(WithHostName, FillsItIn) {
  char host[256] = {};
  ASSERT_EQ(gethostname(host, sizeof host - 1), 0);
  EXPECT_EQ(with_host_name("/runs/{host}.json"), "/runs/" + std::string(host) + ".json");
  EXPECT_EQ(with_host_name("/runs/a.json"), "/runs/a.json");
  EXPECT_EQ(with_host_name("-"), "-");
  EXPECT_EQ(with_host_name(""), "");
}

}  // namespace
}  // namespace forkecho::sys
