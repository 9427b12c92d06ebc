// The system refuses a process (RLIMIT_NPROC, as a user of its own, for root is exempt): one client
// is told and counted, the daemon goes on and does not spin.
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <memory>

#include "tests/support/daemon_under_test.h"
#include "tests/support/proc_view.h"
#include "tests/support/test_client.h"
#include "tests/support/wait_until.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

/// Nobody else's, so that only this daemon's processes count; not even those of the test before.
uid_t user_of_its_own() {
  static uid_t users = 0;
  return 200'000 + 10 * static_cast<uid_t>(getpid()) + ++users;
}

/// Runs in the child, before the daemon.
void become(uid_t user, rlim_t processes) {
  const rlimit limit{.rlim_cur = processes, .rlim_max = processes};
  sys::check_syscall(setrlimit(RLIMIT_NPROC, &limit), "setrlimit");
  sys::check_syscall(setgroups(0, nullptr), "setgroups");
  sys::check_syscall(setresgid(user, user, user), "setresgid");
  sys::check_syscall(setresuid(user, user, user), "setresuid");
}

std::uint64_t cpu_ticks_of(const DaemonUnderTest& daemon) {
  std::uint64_t ticks = 0;
  for (const ProcessView& view : processes_of_session(daemon.pid())) ticks += view.cpu_ticks;
  return ticks;
}

class ForkRefused : public testing::Test {
 protected:
  /// Room for the supervisor, the acceptor and `children`.
  DaemonUnderTest::Options options(rlim_t children) const {
    const uid_t user = user_of_its_own();
    sys::check_syscall(chown(directory_.path().c_str(), user, user), "chown");
    return {
        .arguments = {"--mode", "fork"},
        .listen = {"127.0.0.1:0"},
        .control = directory_ / "d.sock",
        .program = {
            .input = {}, .before_exec = [=] { become(user, 2 + children); }, .own_session = true}};
  }
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(ForkRefused, OneClientIsToldAndCountedAndTheDaemonGoesOn) {
  DaemonUnderTest daemon(options(3));
  std::vector<TestClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(daemon.target());
    ASSERT_EQ(clients.back().ask("in").data, "IN");
  }
  TestClient unlucky(daemon.target());
  const Reply reply = unlucky.receive_to_end();
  EXPECT_EQ(reply.heard, Heard::end);
  EXPECT_EQ(reply.data, "");
  EXPECT_EQ(daemon.books().fork_failed, 1U);
  EXPECT_NE(daemon.log().find("cannot fork"), std::string::npos) << daemon.log();
  for (TestClient& client : clients) EXPECT_EQ(client.ask("still").data, "STILL");

  clients.pop_back();
  ASSERT_TRUE(daemon.wait_for_active(2));
  EXPECT_EQ(TestClient(daemon.target()).ask("again").data, "AGAIN");
  clients.clear();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->accepted, 5U);
  EXPECT_EQ(books->served, 4U);
  EXPECT_EQ(books->fork_failed, 1U);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
}

/// While clients queue up before a daemon that may not fork, it must sleep, and answer its signals.
TEST_F(ForkRefused, TheDaemonDoesNotSpin) {
  DaemonUnderTest daemon(options(1));
  TestClient holder(daemon.target());
  ASSERT_EQ(holder.ask("in").data, "IN");
  std::vector<std::unique_ptr<TestClient>> queue;
  for (int i = 0; i < 50; ++i) queue.push_back(std::make_unique<TestClient>(daemon.target()));
  ASSERT_TRUE(wait_until([&] { return daemon.books().fork_failed > 0; }));
  const std::uint64_t ticks = cpu_ticks_of(daemon);
  const std::uint64_t failed = daemon.books().fork_failed;
  poll(nullptr, 0, 1000);
  const double busy =
      static_cast<double>(cpu_ticks_of(daemon) - ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
  EXPECT_LT(busy, 0.2) << "seconds of processor time in one second";
  EXPECT_LE(daemon.books().fork_failed - failed, 15U) << "clients are turned away too fast";
  EXPECT_EQ(holder.ask("still").data, "STILL");
  holder.close();
  queue.clear();
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
}

}  // namespace
}  // namespace forkecho::tests
