#include "client/process_usage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "common/mp/process.h"
#include "common/sys/check_syscall.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

TEST(ParseProcessStat, ReadsParentAndTimesWithThoseOfTheChildren) {
  const auto stat = parse_process_stat(
      "42 (x) S 7 42 42 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 5 6 7 18446744073709551615");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->pid, 42);
  EXPECT_EQ(stat->parent, 7);
  EXPECT_EQ(stat->user_ticks, 44U);
  EXPECT_EQ(stat->system_ticks, 66U);
}

TEST(ParseProcessStat, IsNotMisledByTheName) {
  const auto stat = parse_process_stat("42 (a) Z 1 (b) S 7 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->parent, 7);
  EXPECT_EQ(stat->user_ticks, 4U);
}

TEST(ParseProcessStat, RefusesWhatIsNoSuchLine) {
  for (const char* text :
       {"", "42", "42 (x)", "42 (x) S 7 1", "x (x) S 7 1 1 0 -1 0 0 0 0 0 1 2 3 4 5"}) {
    EXPECT_FALSE(parse_process_stat(text)) << text;
  }
}

TEST(ParseProcField, FindsAKeyAtTheStartOfALine) {
  const char* text =
      "nonvoluntary_ctxt_switches:\t5\nvoluntary_ctxt_switches:\t17\nPss_Dirty: 3 kB\nPss:  9 kB";
  EXPECT_EQ(parse_proc_field(text, "voluntary_ctxt_switches:"), 17U);
  EXPECT_EQ(parse_proc_field(text, "nonvoluntary_ctxt_switches:"), 5U);
  EXPECT_EQ(parse_proc_field(text, "Pss:"), 9U);
  EXPECT_FALSE(parse_proc_field(text, "Swap:"));
  EXPECT_FALSE(parse_proc_field("Pss: many", "Pss:"));
}

TEST(TreeOf, HoldsTheRootAndAllBelowIt) {
  std::vector<ProcessStat> all;
  for (const auto& [pid, parent] : {std::pair{5, 4}, {2, 1}, {4, 3}, {3, 1}, {1, 0}, {9, 3}}) {
    all.push_back({.pid = pid, .parent = parent});
  }
  std::vector<pid_t> pids;
  for (const auto& process : tree_of(3, all)) pids.push_back(process.pid);
  EXPECT_THAT(pids, testing::UnorderedElementsAre(3, 4, 9, 5));
  EXPECT_EQ(pids.front(), 3);
  EXPECT_TRUE(tree_of(77, all).empty());
}

TEST(SpreadEvenly, TakesAllWhenTheyAreFewAndTheFirstAlways) {
  EXPECT_THAT(spread_evenly(3, 10), ElementsAre(0, 1, 2));
  EXPECT_THAT(spread_evenly(10, 5), ElementsAre(0, 2, 4, 6, 8));
  EXPECT_THAT(spread_evenly(7, 3), ElementsAre(0, 2, 4));
  EXPECT_TRUE(spread_evenly(0, 3).empty());
}

TEST(EstimatePss, LetsTheMeanOfThoseBelowTheRootStandForTheUnread) {
  EXPECT_EQ(estimate_pss(1, 100, {}), 100U);
  EXPECT_EQ(estimate_pss(3, 100, {10, 20}), 130U);
  EXPECT_EQ(estimate_pss(5, 100, {10, 20}), 160U);
}

TEST(EstimatePss, IsNothingWhereNothingIsKnown) {
  EXPECT_FALSE(estimate_pss(0, std::nullopt, {}));
  EXPECT_FALSE(estimate_pss(2, 100, {}));
  EXPECT_FALSE(estimate_pss(2, std::nullopt, {10}));
}

/// A child that has burnt a known amount of processor time, had a child of its own, and waits.
class BusyTree {
 public:
  BusyTree() : process_([ready = ends_] { work(ready[1]); }) {
    process_.start();
    char byte;
    EXPECT_EQ(read(ends_[0], &byte, 1), 1);
  }
  ~BusyTree() {
    process_.kill();
    process_.join(sys::Deadline::after(10s));
    for (const int end : ends_) close(end);
  }
  pid_t pid() const { return *process_.pid(); }

 private:
  static std::array<int, 2> make_pipe() {
    std::array<int, 2> ends;
    sys::check_syscall(pipe(ends.data()), "pipe");
    return ends;
  }
  static void burn(double seconds) {
    timespec now{};
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while (static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9 < seconds);
  }
  static void work(int ready) {
    mp::Process reaped([] { burn(0.2); });
    reaped.start();
    reaped.join();
    mp::Process living([] { pause(); });
    living.set_daemon(true);
    living.start();
    burn(0.2);
    sys::check_syscall(write(ready, "r", 1), "write");
    pause();
  }

  std::array<int, 2> ends_ = make_pipe();
  mp::Process process_;
};

TEST(TreeUsage, CountsTheLivingAndTheReaped) {
  const BusyTree tree;
  const auto usage = read_settled_tree_usage(tree.pid(), sys::Deadline::after(5s));
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->pids.size(), 2U);
  // Two of them burnt 0.2 s each; the kernel counts in ticks of 10 ms.
  EXPECT_GE(usage->cpu_user_s + usage->cpu_system_s, 0.37);
  EXPECT_GT(usage->context_switches, 0U);
}

TEST(TreeUsage, OfAProcessThatIsGoneIsNothing) {
  mp::Process gone([] {});
  gone.start();
  gone.join();
  EXPECT_FALSE(read_tree_usage(*gone.pid()));
  EXPECT_EQ(read_tree_memory(*gone.pid()).processes, 0U);
  EXPECT_FALSE(read_tree_memory(*gone.pid()).pss_bytes);
}

TEST(TreeMemory, CountsProcessesThatLiveForAMoment) {
  // Always eight children, none older than some milliseconds, as in a server that forks for each
  // connection.
  mp::Process churn([] {
    for (;;) {
      std::vector<mp::Process> children;
      for (int i = 0; i < 8; ++i) {
        children.emplace_back([] { usleep(5'000); });
        children.back().set_daemon(true);
        children.back().start();
      }
      for (auto& child : children) child.join();
    }
  });
  churn.start();
  std::uint32_t most = 0;
  const auto deadline = sys::Deadline::after(10s);
  while (most < 5 && !deadline.passed())
    most = std::max(most, read_tree_memory(*churn.pid()).processes);
  churn.kill();
  churn.join();
  EXPECT_GE(most, 5U);
}

TEST(TreeMemory, CountsProcessesAndSumsTheirPss) {
  const BusyTree tree;
  const auto memory = read_tree_memory(tree.pid());
  EXPECT_EQ(memory.processes, 2U);
  ASSERT_TRUE(memory.pss_bytes);
  EXPECT_GT(*memory.pss_bytes, 0U);
}

}  // namespace
}  // namespace forkecho::client
