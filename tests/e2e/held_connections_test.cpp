// Many connections held at once in fork mode, each by a process of its own.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <set>

#include "tests/support/daemon_under_test.h"
#include "tests/support/proc_view.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

void raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// What processes cost the machine: kernel stacks, page tables, slab and anonymous memory, in KiB.
/// Free memory would tell what the last run still gives back.
long memory_for_processes() {
  std::ifstream file("/proc/meminfo");
  long sum = 0;
  long kib = 0;
  std::string name;
  for (std::string rest; file >> name >> kib && std::getline(file, rest);) {
    if (name == "KernelStack:" || name == "PageTables:" || name == "Slab:" || name == "AnonPages:")
      sum += kib;
  }
  return sum;
}

TEST(HeldConnections, EachHasAProcessOfItsOwnAndIsAnswered) {
  PROVES("3.11");
  const auto count = static_cast<std::size_t>(soak(1'000, 10'000));
  raise_descriptor_limit();
  const std::string slots = std::to_string(count + 1);
  DaemonUnderTest daemon({"--mode", "fork", "--max-connections", slots, "--slots", slots});
  const long before = memory_for_processes();
  std::vector<std::unique_ptr<TestClient>> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<TestClient>(daemon.target()));
    ASSERT_TRUE(clients.back()->connected()) << i << ": error " << clients.back()->error();
    ASSERT_TRUE(clients.back()->send("first\n"));
  }
  for (const auto& client : clients) ASSERT_EQ(client->receive(6).data, "FIRST\n");
  for (const auto& client : clients) ASSERT_EQ(client->ask("again\n").data, "AGAIN\n");
  const double kib = static_cast<double>(memory_for_processes() - before);
  std::cout << count << " connections, a process each: " << kib / 1024 << " MiB, "
            << kib / static_cast<double>(count) << " KiB each\n";

  const auto status = daemon.status();
  EXPECT_EQ(books_in(status).active, count);
  EXPECT_EQ(books_in(status).busy, count);
  std::set<pid_t> pids;
  std::set<std::string> peers;
  for (const auto& slot : status["slots"]) {
    pids.insert(slot["pid"].get<pid_t>());
    peers.insert(slot["peer"].get<std::string>());
  }
  EXPECT_EQ(pids.size(), count);
  EXPECT_EQ(peers.size(), count);
  const auto living = living_below(daemon.pid());
  EXPECT_EQ(std::count_if(living.begin(), living.end(),
                          [&](const ProcessView& view) { return pids.contains(view.pid); }),
            static_cast<long>(count));

  clients.clear();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->served, count);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace forkecho::tests
