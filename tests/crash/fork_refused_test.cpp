// The system refuses a process (RLIMIT_NPROC, as a user of its own, for root is exempt): one client
// is told and counted, the daemon goes on and does not spin.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <memory>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/ordinary_user.h"
#include "tests/support/proc_view.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

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
    sys::check_syscall(chown(directory_.path("").c_str(), user, user), "chown");
    return {.arguments = {"--acceptors", "1"},
            .listen = {"127.0.0.1:0"},
            .control = directory_.path("d.sock"),
            .program = {.input = {},
                        .before_exec =
                            [=] {
                              limit_processes(2 + children);
                              become(user);
                            },
                        .own_session = true}};
  }
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  }

 private:
  TempDir directory_;
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
  const auto start = sys::Clock::now();
  std::vector<std::unique_ptr<TestClient>> queue;
  for (int i = 0; i < 50; ++i) queue.push_back(std::make_unique<TestClient>(daemon.target()));
  ASSERT_TRUE(eventually(patience(), [&] { return daemon.books().fork_failed > 0; }));
  const std::uint64_t ticks = cpu_ticks_of(daemon);
  poll(nullptr, 0, 1000);
  const double busy =
      static_cast<double>(cpu_ticks_of(daemon) - ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
  EXPECT_LT(busy, 0.2) << "seconds of processor time in one second";
  // One in a tenth of a second is told; the others may yet be lucky.
  const std::uint64_t told = daemon.books().fork_failed;
  EXPECT_LE(told, 1 + (sys::Clock::now() - start) / 100ms);
  EXPECT_GE(told, 2U) << "it gave up";
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
