#include "client/port_budget.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

TEST(PortBudget, WarnsFromFourFifthsOn) {
  const PortBudget budget{.ports = 1000, .sources = 2, .taken_for = 60s};
  EXPECT_EQ(port_warning(budget, 1600), "");
  EXPECT_NE(port_warning(budget, 1601)
                .find("1601 connections within 1m are close to the 2000 local ports"),
            std::string::npos)
      << port_warning(budget, 1601);
  EXPECT_EQ(port_warning({}, 1e9), "");
}

TEST(PortBudget, IsReadFromTheKernel) {
  const tests::TempDir folder;
  std::ofstream(folder.path("ip_local_port_range")) << "32768\t60999\n";
  std::ofstream(folder.path("tcp_tw_reuse")) << "2\n";
  const PortBudget far = read_port_budget(3, false, folder.path(""));
  EXPECT_EQ(far.ports, 28'232U);
  EXPECT_EQ(far.all(), 84'696U);
  EXPECT_EQ(far.taken_for, 60s);
  EXPECT_EQ(read_port_budget(3, true, folder.path("")).taken_for, 1s);
  EXPECT_EQ(read_port_budget(1, true, "/nonexistent").all(), 0U);
}

}  // namespace
}  // namespace forkecho::client
