// What a child of fork mode costs the kernel, counted and not timed: a connection's price is made
// of the pages that its process has, and of those that it faults in (tests/bench/README.md).
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "common/mp/own_stack.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

/// Bytes of the mapping of /proc/PID/maps that is called so.
std::uintptr_t size_of_mapping(pid_t pid, const std::string& name) {
  std::istringstream maps(content_of("/proc/" + std::to_string(pid) + "/maps"));
  std::uintptr_t size = 0;
  for (std::string line; std::getline(maps, line);) {
    if (!line.ends_with(name)) continue;
    const auto dash = line.find('-');
    size += std::stoul(line.substr(dash + 1), nullptr, 16) - std::stoul(line, nullptr, 16);
  }
  return size;
}

/// Of the process alone: field 10 of /proc/PID/stat.
std::uint64_t minor_faults(pid_t pid) {
  const std::string stat = content_of("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int field = 3; field < 10; ++field) fields >> skipped;
  std::uint64_t faults = 0;
  fields >> faults;
  return faults;
}

bool is_static(pid_t pid) {
  return content_of("/proc/" + std::to_string(pid) + "/maps").find(".so") == std::string::npos;
}

class ForkedChild : public testing::Test {
 protected:
  void SetUp() override {
    acceptor_ = daemon_.accepting_processes().front();
    if (!mp::has_own_stack || !is_static(acceptor_))
      GTEST_SKIP() << "only of a static program for x86-64 without a sanitizer";
  }
  /// Of a client that was answered.
  pid_t child() {
    EXPECT_EQ(client_.ask("hello").data, "HELLO");
    const auto children = children_of(acceptor_);
    EXPECT_EQ(children.size(), 1U);
    return children.front();
  }
  DaemonUnderTest daemon_;
  TestClient client_{daemon_.target()};
  pid_t acceptor_ = 0;
};

TEST_F(ForkedChild, HasNothingOfTheAcceptorsHeap) {
  const std::uintptr_t two_pages = 2 * static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  EXPECT_LE(size_of_mapping(child(), "[heap]"), two_pages)
      << "the C library's record of the thread";
  EXPECT_GT(size_of_mapping(acceptor_, "[heap]"), 2 * two_pages);
}

TEST_F(ForkedChild, FaultsInNoMoreThanItMust) {
  // Its code, its working memory, its line of the status, its title; and two for a kernel that maps
  // fewer pages around a fault.
  EXPECT_LE(minor_faults(child()), 6U);
}

TEST_F(ForkedChild, DoesNotMakeItsAcceptorFault) {
  child();
  const std::uint64_t before = minor_faults(acceptor_);
  constexpr int clients = 300;
  for (int i = 0; i < clients; ++i) {
    TestClient client(daemon_.target());
    EXPECT_EQ(client.ask("hello").data, "HELLO");
  }
  // Each first use of a page of its tables is one.
  EXPECT_LE(minor_faults(acceptor_) - before, clients / 2U);
}

}  // namespace
}  // namespace forkecho::tests
