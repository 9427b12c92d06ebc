// What the daemon's processes look like from outside: no zombies, titles that read well in ps.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/proc_view.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"
#include "tests/support/wait_until.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

/// Follows zombies from sample to sample. What the machine delays the sampler itself by is
/// forgiven: it delays the daemon as much.
class ZombieWatch {
 public:
  explicit ZombieWatch(pid_t session) : session_(session) {}

  void sample() {
    const auto now = sys::Clock::now();
    const auto late = now - last_sample_ - period;
    lateness_ = std::max<sys::Duration>(lateness_ / 2, late);
    last_sample_ = now;
    std::map<Identity, sys::Clock::time_point> zombies;
    for (const ProcessView& view : processes_of_session(session_)) {
      if (view.state != 'Z') continue;
      const Identity identity{view.pid, view.started};
      const auto known = zombies_.find(identity);
      const auto since = known == zombies_.end() ? now : known->second;
      oldest_ = std::max<sys::Duration>(oldest_, now - since - lateness_);
      zombies.emplace(identity, since);
    }
    zombies_ = std::move(zombies);
    poll(nullptr, 0, static_cast<int>(period.count()));
  }
  sys::Duration oldest() const { return oldest_; }

 private:
  using Identity = std::pair<pid_t, std::uint64_t>;
  static constexpr auto period = 10ms;
  const pid_t session_;
  sys::Clock::time_point last_sample_ = sys::Clock::now();
  sys::Duration lateness_{0};
  sys::Duration oldest_{0};
  std::map<Identity, sys::Clock::time_point> zombies_;
};

class Processes : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(Processes, LeaveNoZombieOlderThanATenthOfASecond) {
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
                         testing::Values(mode_named("fork"), mode_named("pool_single_use")),
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
  EXPECT_TRUE(wait_until([&] {
    const auto now = titles_below(daemon);
    return one_says(now, idle) && !one_says(now, "serving");
  })) << testing::PrintToString(titles_below(daemon));
}

INSTANTIATE_TEST_SUITE_P(Modes, Titles, testing::ValuesIn(all_modes), name_of_mode);

}  // namespace
}  // namespace forkecho::tests
