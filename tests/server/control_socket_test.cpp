#include "server/control_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <new>

#include "common/mp/process.h"
#include "server/exit_code.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using sys::Deadline;
using testing::HasSubstr;

/// A daemon that answers "<request>!" on its control socket, and nothing else.
class Answering {
 public:
  explicit Answering(
      const std::string& path, ControlSocket::Handler handler =
                                   [](const std::string& request,
                                      const ControlSocket::Reply& reply) { reply(request + "!"); })
      : process_([path, handler] {
          asio::io_context context{1};
          const ControlSocket socket(context, path, handler);
          context.run();
        }) {
    process_.start();
    EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
      return bool(tests::try_connect(sys::SocketAddress::of_unix_path(path)));
    }));
  }
  ~Answering() {
    process_.kill();
    process_.join();
  }
  pid_t pid() { return *process_.pid(); }
  mp::Process& process() { return process_; }

 private:
  mp::Process process_;
};

void no_answer(const std::string&, const ControlSocket::Reply&) {}

FatalError error_of_asking(const std::string& path, Deadline deadline = tests::patience()) {
  try {
    ControlClient(path).ask("status", deadline);
  } catch (const FatalError& error) {
    return error;
  }
  return {ExitCode::ok, ""};
}

TEST(ControlSocket, AnswersOneRequestAConnection) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  const Answering daemon(path);
  EXPECT_EQ(ControlClient(path).ask("status", tests::patience()), "status!");
  EXPECT_EQ(ControlClient(path).ask("", tests::patience()), "!");
  ControlClient first(path);
  ControlClient second(path);
  EXPECT_EQ(second.ask("2", tests::patience()), "2!");
  EXPECT_EQ(first.ask("1", tests::patience()), "1!");
}

TEST(ControlSocket, ALongAnswerArrivesWhole) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  const Answering daemon(path, [](const std::string&, const ControlSocket::Reply& reply) {
    reply(std::string(5 << 20, 'a'));
  });
  EXPECT_EQ(ControlClient(path).ask("status", tests::patience()).size(), 5U << 20);
}

TEST(ControlSocket, IsItsOwnersAlone) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  const Answering daemon(path);
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST(ControlSocket, RefusesAnotherUserEvenWhereTheModeWouldAllowIt) {
  if (geteuid() != 0) GTEST_SKIP() << "needs another user";
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  const Answering daemon(path);
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  ASSERT_EQ(chmod(directory.path("").c_str(), 0755), 0);
  EXPECT_EQ(tests::exitcode_in_child([&] {
              if (setuid(65534) != 0) return 1;
              return static_cast<int>(error_of_asking(path).code());
            }),
            static_cast<int>(ExitCode::unavailable));
  EXPECT_EQ(ControlClient(path).ask("still", tests::patience()), "still!");
}

TEST(ControlSocket, SurvivesClientsThatBehaveBadly) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  const Answering daemon(path, [](const std::string&, const ControlSocket::Reply& reply) {
    reply(std::string(1 << 20, 'a'));
  });
  const auto address = sys::SocketAddress::of_unix_path(path);
  { const sys::Descriptor leaves_at_once = tests::connect_to(address); }
  {
    const sys::Descriptor asks_and_leaves = tests::connect_to(address);
    tests::send_all(asks_and_leaves.get(), "status\n");
  }
  {
    const sys::Descriptor never_ends_its_line = tests::connect_to(address);
    tests::send_all(never_ends_its_line.get(), std::string(5000, 'x'));
    const std::string answer = tests::receive_to_end(never_ends_its_line.get());
    EXPECT_TRUE(answer.empty() || answer == "[reset]") << answer;
  }
  const sys::Descriptor says_nothing = tests::connect_to(address);
  EXPECT_EQ(ControlClient(path).ask("status", tests::patience()).size(), 1U << 20);
}

TEST(ControlSocket, ReplacesTheFileOfAKilledDaemonAndRemovesItsOwn) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  { const Answering killed(path); }
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
  {
    asio::io_context context{1};
    const ControlSocket socket(context, path, no_answer);
    EXPECT_TRUE(tests::try_connect(sys::SocketAddress::of_unix_path(path)));
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST(ControlSocket, AnAnswerMayComeLater) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  ControlSocket::Reply kept;
  const Answering daemon(
      path, [kept](const std::string& request, const ControlSocket::Reply& reply) mutable {
        if (request == "later") {
          kept = reply;
        } else {
          reply("now");
          if (kept) kept("now, too");
        }
      });
  ControlClient waits(path);
  mp::Process asker(
      [&] { mp::leave(waits.ask("later", tests::patience()) == "now, too" ? 0 : 1); });
  asker.start();
  ASSERT_TRUE(tests::eventually(tests::patience(), [&] {
    ControlClient(path).ask("now", tests::patience());
    return !asker.is_alive();
  }));
  EXPECT_EQ(asker.exitcode(), 0);
}

TEST(ControlSocket, WhoeverIsNeverAnsweredSeesTheEnd) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  const Answering daemon(path, no_answer);
  EXPECT_EQ(error_of_asking(path).code(), ExitCode::unavailable);
}

TEST(ControlSocket, GoesFromOneProcessToAnother) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  asio::io_context context{1};
  ControlSocket first(context, path, no_answer);
  EXPECT_TRUE(is_bound_to(first.fd(), path));
  EXPECT_FALSE(is_bound_to(first.fd(), path + "x"));
  mp::Process next([&] {
    asio::io_context own_context{1};
    ControlSocket taken(
        own_context, path,
        [](const std::string&, const ControlSocket::Reply& reply) { reply("mine"); },
        sys::Descriptor(dup(first.fd())));
    taken.open();
    own_context.run();
  });
  first.shut();
  context.run_for(1ms);
  ControlClient waits_in_the_queue(path);
  next.start();
  EXPECT_EQ(waits_in_the_queue.ask("whose?", tests::patience()), "mine");
  first.leave();
  const sys::Descriptor sentinel = ControlClient(path).daemon_sentinel();
  EXPECT_FALSE(tests::readable(sentinel.get(), Deadline::immediately()));
  next.kill();
  next.join();
  EXPECT_TRUE(tests::readable(sentinel.get())) << "the peer's pid must be the one that answers";
}

TEST(ControlSocket, TakenOverAndNeverOpenedLeavesTheFile) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  asio::io_context context{1};
  ControlSocket first(context, path, no_answer);
  { const ControlSocket taken(context, path, no_answer, sys::Descriptor(dup(first.fd()))); }
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
  first.shut();
  first.open();
  EXPECT_TRUE(tests::try_connect(sys::SocketAddress::of_unix_path(path)));
}

TEST(ControlSocket, APathThatCannotBeIsSaidInWordsForTheUser) {
  const tests::TempDir directory;
  asio::io_context context{1};
  try {
    const ControlSocket socket(context, directory.path("missing/c.sock"), nullptr);
    FAIL() << "it was made";
  } catch (const std::system_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("missing/c.sock"));
    EXPECT_THAT(error.what(), HasSubstr("--control"));
  }
}

TEST(ControlClient, NobodyThere) {
  const tests::TempDir directory;
  const FatalError error = error_of_asking(directory.path("c.sock"));
  EXPECT_EQ(error.code(), ExitCode::unavailable);
  EXPECT_THAT(error.what(), HasSubstr("no daemon answers at '" + directory.path("c.sock") + "'"));
}

TEST(ControlClient, ADaemonThatDoesNotAnswerIsGivenUpAtTheDeadline) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  Answering daemon(path);
  kill(daemon.pid(), SIGSTOP);
  const FatalError error = error_of_asking(path, Deadline::after(50ms));
  EXPECT_EQ(error.code(), ExitCode::unavailable);
  EXPECT_THAT(error.what(), HasSubstr("in time"));
}

TEST(ControlClient, ItsSentinelTellsTheEndOfTheDaemon) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  Answering daemon(path);
  const sys::Descriptor sentinel = ControlClient(path).daemon_sentinel();
  EXPECT_FALSE(tests::readable(sentinel.get(), Deadline::after(0s)));
  daemon.process().kill();
  EXPECT_TRUE(tests::readable(sentinel.get()));
}

/// One after another, for there is but one spare descriptor; and without a spin meanwhile.
TEST(ControlSocket, AnswersWithoutAFreeDescriptor) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  Answering daemon(path);
  rlim_t lowest_free = 0;
  const auto taken = tests::descriptors_of(daemon.pid());
  while (taken.count(static_cast<int>(lowest_free)) != 0) ++lowest_free;
  const rlimit none{.rlim_cur = lowest_free, .rlim_max = 20'000};
  ASSERT_EQ(prlimit(daemon.pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(ControlClient(path).ask("status", tests::patience()), "status!");
  {
    // Two at once: one holds the spare descriptor and says nothing.
    const sys::Descriptor silent = tests::try_connect(sys::SocketAddress::of_unix_path(path));
    const ControlClient waiting(path);
    EXPECT_TRUE(tests::sleeps(daemon.pid()));
  }
  EXPECT_EQ(ControlClient(path).ask("status", tests::patience()), "status!");
}

TEST(ControlSocket, ForWantOfMemoryItSaysSo) {
  const tests::TempDir directory;
  const std::string path = directory.path("c.sock");
  Answering daemon(path,
                   [](const std::string&, const ControlSocket::Reply&) { throw std::bad_alloc(); });
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(ControlClient(path).ask("status", tests::patience()),
                HasSubstr("error: the supervisor is short of memory"));
  }
}

}  // namespace
}  // namespace forkecho::server
