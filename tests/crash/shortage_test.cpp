// The system refuses: descriptors, processes, memory. In every mode clients are served, wait, or
// are told and counted; the daemon answers, does not spin, and recovers by itself. What one refused
// fork does to its client is in fork_refused_test.cpp.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>

#include "tests/support/control_group.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/ordinary_user.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

rlimit set_limit(pid_t pid, __rlimit_resource resource, rlim_t soft) {
  rlimit before{};
  sys::check_syscall(prlimit(pid, resource, nullptr, &before), "prlimit");
  const rlimit now{.rlim_cur = soft, .rlim_max = before.rlim_max};
  sys::check_syscall(prlimit(pid, resource, &now, nullptr), "prlimit");
  return before;
}

/// Every number below the limit is taken, but for those that the process itself keeps free
/// (standard input's).
void leave_no_descriptor(pid_t pid) {
  const auto open = descriptors_of(pid);
  rlim_t limit = open.empty() ? 0 : static_cast<rlim_t>(open.begin()->first);
  for (const auto& [number, what] : open) {
    if (static_cast<rlim_t>(number) != limit) break;
    ++limit;
  }
  set_limit(pid, RLIMIT_NOFILE, limit);
}

std::uint64_t cpu_ticks_of(const DaemonUnderTest& daemon) {
  std::uint64_t ticks = 0;
  for (const ProcessView& view : processes_of_session(daemon.pid())) ticks += view.cpu_ticks;
  return ticks;
}

/// Of one processor, over half a second.
double processor_share(const DaemonUnderTest& daemon) {
  const std::uint64_t before = cpu_ticks_of(daemon);
  const auto begin = sys::Clock::now();
  poll(nullptr, 0, 500);
  const std::chrono::duration<double> passed = sys::Clock::now() - begin;
  return static_cast<double>(cpu_ticks_of(daemon) - before) /
         static_cast<double>(sysconf(_SC_CLK_TCK)) / passed.count();
}
constexpr double no_spin = 0.25;

/// The quickest answer to five requests for the status: the machine may be busy, the daemon not.
sys::Duration time_of_status(const DaemonUnderTest& daemon) {
  sys::Duration best = sys::Duration::max();
  for (int i = 0; i < 5; ++i) {
    const auto begin = sys::Clock::now();
    TestClient asking("unix:" + daemon.control());
    EXPECT_TRUE(asking.send("status\n"));
    EXPECT_EQ(asking.receive_to_end().data.substr(0, 10), "{\"version\"");
    best = std::min<sys::Duration>(best, sys::Clock::now() - begin);
  }
  return best;
}
constexpr auto at_once = 100ms;

std::vector<pid_t> all_of(const DaemonUnderTest& daemon) {
  std::vector<pid_t> pids = daemon.accepting_processes();
  pids.push_back(daemon.pid());
  return pids;
}

class Shortage : public testing::TestWithParam<ModeUnderTest> {};
INSTANTIATE_TEST_SUITE_P(Modes, Shortage, testing::ValuesIn(all_modes), name_of_mode);

/// Who needs one descriptor at a time has a spare one for it. An event worker holds one for every
/// client: without, it is full.
TEST_P(Shortage, WithoutDescriptorsClientsAreServedOrWait) {
  DaemonUnderTest daemon(GetParam());
  TestClient before(daemon.target());
  ASSERT_EQ(before.ask("before").data, "BEFORE");
  if (GetParam().holds_others_up()) {
    before.close();
    ASSERT_TRUE(daemon.books_at_rest());
  }
  for (const pid_t pid : all_of(daemon)) leave_no_descriptor(pid);
  TestClient client(daemon.target());
  ASSERT_TRUE(client.send("short"));
  if (GetParam().is_event()) {
    EXPECT_TRUE(eventually(patience(), [&] {
      return daemon.log().find("cannot accept: Too many open files") != std::string::npos;
    }));
    EXPECT_EQ(client.receive(1, sys::Deadline::immediately()).heard, Heard::timed_out);
  } else {
    EXPECT_EQ(client.receive(5).data, "SHORT");
  }
  EXPECT_LT(time_of_status(daemon), at_once);
  EXPECT_LT(processor_share(daemon), no_spin);
  if (!GetParam().holds_others_up()) {
    EXPECT_EQ(before.ask("still").data, "STILL");
  }
  for (const pid_t pid : all_of(daemon)) set_limit(pid, RLIMIT_NOFILE, 10'000);
  if (GetParam().is_event()) {
    EXPECT_EQ(client.receive(5).data, "SHORT");
  }
  before.close();
  client.close();
  EXPECT_EQ(TestClient(daemon.target()).ask("after").data, "AFTER");
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->accepted, 3U);
  EXPECT_EQ(books->served, 3U);
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().balance(); }));
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
}

/// Not even the spare one: nobody can be accepted, so nobody is lost.
TEST_P(Shortage, WithoutAnyDescriptorClientsWaitUntilThereIsOne) {
  if (GetParam().has_own_queues() || GetParam().name == "pool_lock")
    GTEST_SKIP() << "not every worker is in accept, or can be had out of it";
  if (GetParam().name == "pool_passing")
    GTEST_SKIP()
        << "a worker keeps a number for whom it is passed, and cannot give the client back";
  DaemonUnderTest daemon(GetParam());
  for (const pid_t pid : daemon.accepting_processes()) set_limit(pid, RLIMIT_NOFILE, 0);
  if (GetParam().is_pool() || GetParam().is_iterative()) {
    // Those that were in accept already have a descriptor for whoever comes.
    for (std::size_t i = daemon.accepting_processes().size(); i > 0; --i)
      ASSERT_EQ(TestClient(daemon.target()).ask("x").data, "X");
    for (const pid_t pid : daemon.accepting_processes()) set_limit(pid, RLIMIT_NOFILE, 0);
  }
  if (GetParam().name == "pool_single_use") return;  // each has its one client, and is replaced
  TestClient client(daemon.target());
  ASSERT_TRUE(client.send("waits"));
  EXPECT_TRUE(eventually(patience(), [&] {
    return daemon.log().find("cannot accept: Too many open files") != std::string::npos;
  })) << daemon.log();
  EXPECT_LT(time_of_status(daemon), at_once);
  EXPECT_LT(processor_share(daemon), no_spin);
  for (const pid_t pid : daemon.accepting_processes()) set_limit(pid, RLIMIT_NOFILE, 10'000);
  EXPECT_EQ(client.receive(5).data, "WAITS");
  EXPECT_NE(daemon.log().find("raise ulimit -n"), std::string::npos);
  // At most a line in a second from each, however often it tried.
  const std::string log = daemon.log();
  std::size_t lines = 0;
  for (auto at = log.find("cannot accept"); at != std::string::npos;
       at = log.find("cannot accept", at + 1))
    ++lines;
  EXPECT_LE(lines, 20 * daemon.accepting_processes().size());
}

TEST(EventShortage, WithoutDescriptorsAClientIsTurnedAwayInOrderIfSoAsked) {
  DaemonUnderTest daemon(mode_named("event"), {"--when-full", "refuse"});
  for (const pid_t pid : daemon.accepting_processes()) leave_no_descriptor(pid);
  for (int i = 0; i < 3; ++i) {
    TestClient client(daemon.target());
    client.send("unlucky");
    EXPECT_EQ(client.receive_to_end().heard, Heard::end);
  }
  for (const pid_t pid : daemon.accepting_processes()) set_limit(pid, RLIMIT_NOFILE, 10'000);
  EXPECT_EQ(TestClient(daemon.target()).ask("lucky").data, "LUCKY");
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->refused, 3U);
  EXPECT_EQ(books->served, 1U);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
}

/// The address space that the process has, and no more.
void leave_no_memory(pid_t pid) {
  const std::string status = content_of("/proc/" + std::to_string(pid) + "/statm");
  const rlim_t pages = std::stoul(status);
  set_limit(pid, RLIMIT_AS, pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)));
}

TEST_P(Shortage, WithoutMemoryTheSupervisorAnswersAndReplacesWhoDiedWhenItCan) {
  DaemonUnderTest daemon(GetParam());
  ASSERT_EQ(TestClient(daemon.target()).ask("first").data, "FIRST");
  ASSERT_TRUE(daemon.books_at_rest());
  leave_no_memory(daemon.pid());
  for (int i = 0; i < 20; ++i) EXPECT_LT(time_of_status(daemon), at_once);
  const auto victims = daemon.accepting_processes();
  for (const pid_t pid : victims) kill(pid, SIGKILL);
  // Not before: one on its way out can take a connection with it.
  ASSERT_TRUE(eventually(patience(), [&] {
    const auto living = daemon.accepting_processes();
    return std::none_of(living.begin(), living.end(), [&](pid_t pid) {
      return std::count(victims.begin(), victims.end(), pid) != 0;
    });
  }));
  TestClient client(daemon.target());
  ASSERT_TRUE(client.send("second"));
  EXPECT_LT(processor_share(daemon), no_spin);
  EXPECT_LT(time_of_status(daemon), at_once);
  set_limit(daemon.pid(), RLIMIT_AS, RLIM_INFINITY);
  EXPECT_EQ(client.receive(6).data, "SECOND") << daemon.log();
  client.close();
  ASSERT_TRUE(daemon.books_at_rest());
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().balance(); }))
      << testing::PrintToString(daemon.books());
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
}

TEST(EventShortage, WithoutMemoryAClientIsTurnedAwayAndTheOthersAreServed) {
  DaemonUnderTest daemon(mode_named("event"));
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<TestClient>(daemon.target()));
    ASSERT_EQ(clients.back()->ask("before").data, "BEFORE");
  }
  for (const pid_t pid : daemon.accepting_processes()) leave_no_memory(pid);
  const std::size_t held = clients.size();
  // What the allocator has in stock is used up first.
  bool one_was_turned_away = false;
  for (int i = 0; i < 20'000 && !one_was_turned_away; ++i) {
    clients.push_back(std::make_unique<TestClient>(daemon.target()));
    const Reply reply = clients.back()->ask("x");
    one_was_turned_away = reply.heard == Heard::end;
    ASSERT_TRUE(one_was_turned_away || reply.data == "X") << i << " " << daemon.log();
  }
  EXPECT_TRUE(one_was_turned_away) << "no shortage";
  for (std::size_t i = 0; i < held; ++i) EXPECT_EQ(clients[i]->ask("still").data, "STILL");
  EXPECT_LT(processor_share(daemon), no_spin);
  for (const pid_t pid : daemon.accepting_processes()) set_limit(pid, RLIMIT_AS, RLIM_INFINITY);
  EXPECT_EQ(TestClient(daemon.target()).ask("after").data, "AFTER");
  clients.clear();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_GE(books->refused, 1U);
  EXPECT_EQ(books->crashed, 0U) << daemon.log();
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
}

/// In a control group that has room for the daemon as it starts and `more` processes.
class ProcessShortage : public testing::TestWithParam<ModeUnderTest> {
 protected:
  void SetUp() override {
    if (!group_.why_not().empty()) GTEST_SKIP() << group_.why_not();
  }
  DaemonUnderTest::Options options(Arguments more = {}) {
    Arguments arguments = GetParam().arguments;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return {.arguments = arguments,
            .control = {},
            .program = {
                .input = {}, .before_exec = [this] { group_.add(getpid()); }, .own_session = true}};
  }
  ControlGroup group_{"pids"};
};
INSTANTIATE_TEST_SUITE_P(Modes, ProcessShortage, testing::ValuesIn(all_modes), name_of_mode);

TEST_P(ProcessShortage, TheDaemonGoesOnAndRecovers) {
  DaemonUnderTest daemon(options());
  ASSERT_EQ(TestClient(daemon.target()).ask("first").data, "FIRST");
  ASSERT_TRUE(daemon.books_at_rest());
  group_.limit_processes(1);  // whoever ends now is not replaced
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<TestClient>(daemon.target()));
    ASSERT_TRUE(clients.back()->send("many"));
    clients.back()->half_close();
  }
  if (GetParam().has_acceptor()) {
    EXPECT_TRUE(eventually(patience(), [&] {
      return daemon.log().find("pids") != std::string::npos;
    })) << daemon.log();
  }
  EXPECT_LT(processor_share(daemon), no_spin);
  EXPECT_LT(time_of_status(daemon), at_once);
  group_.limit_processes(1000);
  std::size_t served = 0;
  std::size_t told = 0;
  for (const auto& client : clients) {
    const Reply reply = client->receive_to_end();
    EXPECT_EQ(reply.heard, Heard::end);
    ++(reply.data.empty() ? told : served);
  }
  clients.clear();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(served + told, 40U);
  EXPECT_EQ(books->served, served + 1);
  EXPECT_EQ(books->fork_failed, told);
  // Where workers wait already, it depends on the pace whether one is forked for a client.
  if (GetParam().name != "pool_single_use") {
    EXPECT_EQ(told > 0, GetParam().is_fork());
  }
  EXPECT_TRUE(eventually(patience(), [&] { return daemon.books().balance(); }))
      << testing::PrintToString(daemon.books());
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
}

/// A signal is heard at once also while nothing can be forked.
TEST_P(ProcessShortage, TheDaemonDrainsAndEnds) {
  DaemonUnderTest daemon(options({"--drain-timeout", "300ms"}));
  ASSERT_EQ(TestClient(daemon.target()).ask("first").data, "FIRST");
  group_.limit_processes(1);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(std::make_unique<TestClient>(daemon.target()));
  daemon.signal(SIGTERM);
  EXPECT_TRUE(
      eventually(patience(), [&] { return daemon.log().find("draining") != std::string::npos; }));
  EXPECT_EQ(daemon.wait(), 0) << daemon.log();
}

}  // namespace
}  // namespace forkecho::tests
