// What the daemon's processes look like from outside: no zombies, titles that read well in ps.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <sstream>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

/// How long a process has waited for a processor in its life, as /proc/pid/schedstat has it (its
/// second figure); zero where the kernel does not tell.
sys::Duration time_without_processor(pid_t pid) {
  std::istringstream figures(content_of("/proc/" + std::to_string(pid) + "/schedstat"));
  std::int64_t ran = 0;
  std::int64_t waited = 0;
  figures >> ran >> waited;
  return sys::Duration(waited);
}

/// Follows zombies from sample to sample. What a parent was ready to run and got no processor for
/// is forgiven: a busy machine is not its fault.
class ZombieWatch {
 public:
  explicit ZombieWatch(pid_t session) : session_(session) {}

  void sample() {
    std::map<Identity, Seen> zombies;
    const std::vector<ProcessView> all = processes_of_session(session_);
    for (const ProcessView& view : all) {
      if (view.state != 'Z') continue;
      const Seen now{sys::Clock::now(), view.parent, time_without_processor(view.parent)};
      const Seen first = zombies_.try_emplace({view.pid, view.started}, now).first->second;
      zombies.emplace(Identity{view.pid, view.started}, first);
      const sys::Duration forgiven = first.parent == now.parent
                                         ? now.parent_waited - first.parent_waited
                                         : now.when - first.when;
      // How long it waits now, the kernel tells when it has ended.
      if (state_in(all, view.parent) == 'R') continue;
      oldest_ = std::max<sys::Duration>(oldest_, now.when - first.when - forgiven);
    }
    zombies_ = std::move(zombies);
    poll(nullptr, 0, 10);
  }
  sys::Duration oldest() const { return oldest_; }

 private:
  using Identity = std::pair<pid_t, std::uint64_t>;
  struct Seen {
    sys::Clock::time_point when;
    pid_t parent;
    sys::Duration parent_waited;
  };
  static char state_in(const std::vector<ProcessView>& all, pid_t pid) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [pid](const ProcessView& view) { return view.pid == pid; });
    return found == all.end() ? '-' : found->state;
  }

  const pid_t session_;
  sys::Duration oldest_{0};
  std::map<Identity, Seen> zombies_;
};

class Processes : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(Processes, LeaveNoZombieOlderThanATenthOfASecond) {
  PROVES("3.12");
  DaemonUnderTest daemon(GetParam());
  ClientSwarm swarm({.target = daemon.target(), .holding = 0, .fresh = 4});
  ZombieWatch watch(daemon.pid());
  const auto end = sys::Deadline::after(std::chrono::milliseconds(soak(1500, 60'000)));
  while (!end.passed()) watch.sample();
  ASSERT_TRUE(swarm.stop());
  // And none when all is quiet.
  ASSERT_TRUE(daemon.books_at_rest());
  for (int i = 0; i < 15; ++i) watch.sample();
  EXPECT_LE(watch.oldest(), 100ms);
  EXPECT_GT(daemon.books().reaped, 100U) << "there was little to reap";
}

INSTANTIATE_TEST_SUITE_P(Modes, Processes,
                         testing::Values(mode_named("fork"), mode_named("fork_acceptors"),
                                         mode_named("pool_single_use")),
                         name_of_mode);

std::vector<std::string> titles_below(const DaemonUnderTest& daemon) {
  std::vector<std::string> titles;
  for (const ProcessView& view : living_below(daemon.pid())) titles.push_back(title_of(view.pid));
  return titles;
}

bool one_says(const std::vector<std::string>& titles, const std::string& what) {
  return std::any_of(titles.begin(), titles.end(), [&](const auto& title) {
    return title.starts_with("forkechod: ") && title.find(what) != std::string::npos;
  });
}

class Titles : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(Titles, SayWhatEachProcessDoes) {
  DaemonUnderTest daemon(GetParam());
  const std::string mode = daemon.status()["mode"];
  EXPECT_EQ(title_of(daemon.pid()), "forkechod: supervisor, mode " + mode);
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("a").data, "A");
  const auto titles = titles_below(daemon);
  const std::string everything = testing::PrintToString(titles);
  for (const std::string& title : titles)
    EXPECT_TRUE(title.starts_with("forkechod: ")) << everything;
  if (GetParam().is_event()) {
    EXPECT_TRUE(one_says(titles, "event worker")) << everything;
    return;
  }
  const std::string peer = sys::SocketAddress::local(client.get()).to_string();
  EXPECT_TRUE(one_says(titles, "serving " + peer)) << everything;
  if (GetParam().is_fork()) {
    EXPECT_TRUE(one_says(titles, "acceptor")) << everything;
  }
  if (GetParam().is_pool()) {
    EXPECT_TRUE(one_says(titles, "worker, idle")) << everything;
  }
  client.close();
  const char* idle = GetParam().is_fork() ? "acceptor" : "idle";
  EXPECT_TRUE(eventually(patience(), [&] {
    const auto now = titles_below(daemon);
    return one_says(now, idle) && !one_says(now, "serving");
  })) << testing::PrintToString(titles_below(daemon));
}

INSTANTIATE_TEST_SUITE_P(Modes, Titles, testing::ValuesIn(all_modes), name_of_mode);

}  // namespace
}  // namespace forkecho::tests
