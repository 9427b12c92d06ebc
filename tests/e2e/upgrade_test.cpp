// Upgrades, driven from outside: the program is replaced while clients come and go. None of them
// notices, and whatever goes wrong leaves one daemon that works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "tests/support/client_swarm.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/notify_receiver.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/soak.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

/// A daemon whose program lies where a test may replace it; and those that replace the daemon.
class UpgradableDaemon {
 public:
  explicit UpgradableDaemon(Arguments arguments = {},
                            std::vector<std::string> listen = {"127.0.0.1:0"},
                            ProgramOptions program = {})
      : path_(directory_.path("forkechod")) {
    std::filesystem::create_symlink(forkechod, path_);
    daemon_.emplace(DaemonUnderTest::Options{.arguments = std::move(arguments),
                                             .listen = std::move(listen),
                                             .control = {},
                                             .program = std::move(program),
                                             .path = path_});
  }
  ~UpgradableDaemon() {
    // Those that replaced the first are not its descendants, but in its session.
    daemon_->signal(SIGKILL);
    for (const ProcessView& view : living_below(daemon_->pid())) kill(view.pid, SIGKILL);
  }

  DaemonUnderTest& first() { return *daemon_; }
  const std::string& target() { return daemon_->target(); }
  std::string path(const std::string& name) const { return directory_.path(name); }
  pid_t pid() { return daemon_->status()["pid"]; }
  std::string pid_file() {
    return content_of(std::filesystem::path(daemon_->control()).replace_extension("pid"));
  }
  Outcome call(const std::string& verb, Arguments more = {}) {
    more.insert(more.begin(), {verb, "--control", daemon_->control()});
    return run_program(forkechod, more);
  }
  std::unique_ptr<Program> call_in_background(const std::string& verb) {
    return std::make_unique<Program>(forkechod, Arguments{verb, "--control", daemon_->control()});
  }
  Outcome upgrade() { return call("upgrade"); }

  /// What the next upgrade finds at the program's path.
  void replace_program(const std::string& content, mode_t mode = 0755) {
    std::filesystem::remove(path_);
    write_file(path_, content);
    chmod(path_.c_str(), mode);
  }
  void remove_program() { std::filesystem::remove(path_); }
  /// The next program waits, after exec, for open_gate, and then is the real one.
  void replace_program_by_gated() {
    replace_program("#!/bin/sh\nwhile [ ! -e '" + directory_.path("gate") +
                    "' ]; do sleep 0.01; done\nexec '" + forkechod + "' \"$@\"\n");
  }
  void open_gate() { write_file(directory_.path("gate"), ""); }
  /// The process of an upgrade under way: a child of the daemon that is no part of its tree.
  pid_t successor() {
    pid_t found = 0;
    eventually(patience(), [&] {
      for (const pid_t child : children_of(daemon_->pid())) {
        if (!title_of(child).starts_with("forkechod:") && !title_of(child).empty()) found = child;
      }
      return found != 0;
    });
    return found;
  }
  /// It says that it is ready, to an old daemon that was stopped.
  bool is_ready(pid_t successor) {
    const std::string line = "[" + std::to_string(successor) + "] info: ready to take over";
    return eventually(patience(), [&] { return daemon_->log().find(line) != std::string::npos; }) &&
           sleeps(successor);
  }
  /// The daemon answers, serves, and is `pid`, by all that tells of it.
  void expect_to_be_served_by(pid_t expected) {
    EXPECT_EQ(pid(), expected);
    EXPECT_EQ(pid_file(), std::to_string(expected) + "\n");
    for (const std::string& target : daemon_->targets())
      EXPECT_EQ(TestClient(target).ask("served").data, "SERVED");
  }
  bool session_is_empty() {
    return eventually(patience(), [&] { return living_below(daemon_->pid()).empty(); });
  }
  /// TERM to whoever is the daemon; true once nobody is left.
  bool stop() {
    const Outcome stopped = call("stop");
    EXPECT_EQ(stopped.exitcode, 0) << stopped.err;
    return session_is_empty() && daemon_->wait() == 0;
  }

 private:
  TempDir directory_;
  std::string path_;
  std::optional<DaemonUnderTest> daemon_;
};

void expect_no_client_noticed(const ClientCounts& seen) {
  EXPECT_GT(seen.replies, 0U);
  EXPECT_EQ(seen.not_connected + seen.resets + seen.wrong + seen.cut_short + seen.unanswered +
                seen.silent + seen.never_answered,
            0U)
      << testing::PrintToString(seen);
}

/// The sums over the last books of all daemons that wrote into `log`.
BooksSeen all_books_in(std::string log) {
  BooksSeen sum;
  for (;;) {
    const auto books = books_in_log(log);
    if (!books) return sum;
    sum.accepted += books->accepted;
    sum.served += books->served;
    sum.crashed += books->crashed;
    sum.active += books->active;
    log.erase(log.rfind("books: "));
  }
}

class UpgradeInEveryMode : public testing::TestWithParam<ModeUnderTest> {};
INSTANTIATE_TEST_SUITE_P(Upgrade, UpgradeInEveryMode,
                         testing::Values(mode_named("fork"), mode_named("fork_acceptors"),
                                         mode_named("pool"), mode_named("pool_single_use"),
                                         mode_named("event")),
                         name_of_mode);

TEST_P(UpgradeInEveryMode, NoClientNotices) {
  UpgradableDaemon daemon(GetParam().arguments);
  ClientSwarm clients({.target = daemon.target(), .holding = 2, .fresh = 3});
  pid_t before = daemon.pid();
  for (int i = 0; i < soak(3, 20); ++i) {
    ASSERT_TRUE(clients.wait_for_replies(5));
    const Outcome upgraded = daemon.upgrade();
    ASSERT_EQ(upgraded.exitcode, 0) << upgraded.err << daemon.first().log();
    const pid_t now = daemon.pid();
    EXPECT_NE(now, before);
    EXPECT_EQ(daemon.pid_file(), std::to_string(now) + "\n");
    before = now;
  }
  ASSERT_TRUE(clients.wait_for_replies(5));
  ASSERT_TRUE(clients.stop());
  const ClientCounts seen = clients.totals();
  expect_no_client_noticed(seen);
  EXPECT_TRUE(daemon.stop());
  const BooksSeen books = all_books_in(daemon.first().log());
  EXPECT_EQ(books.accepted, seen.connected);
  EXPECT_EQ(books.served, seen.connected);
  EXPECT_FALSE(std::filesystem::exists(daemon.first().control()));
}

TEST_P(UpgradeInEveryMode, ASignalDoesItToo) {
  UpgradableDaemon daemon(GetParam().arguments);
  const pid_t before = daemon.pid();
  daemon.first().signal(SIGUSR2);
  ASSERT_EQ(daemon.first().wait(), 0);
  daemon.expect_to_be_served_by(daemon.pid());
  EXPECT_NE(daemon.pid(), before);
}

TEST_P(UpgradeInEveryMode, TheOldDaemonServesWhomItHasUntilTheDrainTimeout) {
  Arguments arguments = GetParam().arguments;
  arguments.insert(arguments.end(), {"--drain-timeout", "1s"});
  UpgradableDaemon daemon(arguments);
  TestClient held(daemon.target());
  ASSERT_EQ(held.ask("a").data, "A");
  ASSERT_EQ(daemon.upgrade().exitcode, 0);
  EXPECT_EQ(daemon.first().status()["upgrade"]["predecessors"],
            nlohmann::json::array({daemon.first().pid()}));
  EXPECT_EQ(held.ask("b").data, "B");
  EXPECT_EQ(held.receive(1).heard, Heard::end);
  held.close();
  EXPECT_EQ(daemon.first().wait(), 0);
  EXPECT_THAT(daemon.first().log(), HasSubstr("drain 1)"));
  EXPECT_TRUE(eventually(
      patience(), [&] { return daemon.first().status()["upgrade"]["predecessors"].empty(); }));
}

TEST(Upgrade, UnixListenersGoOver) {
  const TempDir directory;
  const std::string unix_target = "unix:" + directory.path("x.sock");
  UpgradableDaemon daemon({}, {"127.0.0.1:0", unix_target});
  ClientSwarm clients({.target = unix_target, .holding = 1, .fresh = 2});
  for (int i = 0; i < soak(3, 20); ++i) {
    ASSERT_TRUE(clients.wait_for_replies(5));
    ASSERT_EQ(daemon.upgrade().exitcode, 0);
  }
  ASSERT_TRUE(clients.wait_for_replies(5));
  ASSERT_TRUE(clients.stop());
  expect_no_client_noticed(clients.totals());
  daemon.expect_to_be_served_by(daemon.pid());
  EXPECT_TRUE(daemon.stop());
  EXPECT_FALSE(std::filesystem::exists(directory.path("x.sock")));
}

TEST(Upgrade, ToAnotherMode) {
  // Whether the listening socket blocks in accept is shared by the two, and they differ in it.
  UpgradableDaemon daemon;
  ClientSwarm clients({.target = daemon.target(), .holding = 1, .fresh = 2});
  ASSERT_TRUE(clients.wait_for_replies(3));
  daemon.replace_program("#!/bin/sh\nexec '" + forkechod + "' \"$@\" --mode pool --pool-start 4\n");
  ASSERT_EQ(daemon.upgrade().exitcode, 0);
  EXPECT_EQ(daemon.first().status()["mode"], "pool");
  ASSERT_TRUE(clients.wait_for_replies(3));
  ASSERT_TRUE(clients.stop());
  expect_no_client_noticed(clients.totals());
  ASSERT_EQ(daemon.first().wait(), 0);
  for (const pid_t worker : children_of(daemon.pid())) EXPECT_TRUE(sleeps(worker));
}

TEST(Upgrade, KeepsNoDescriptor) {
  UpgradableDaemon daemon;
  ASSERT_EQ(daemon.upgrade().exitcode, 0);
  ASSERT_EQ(daemon.first().wait(), 0);
  const auto count = [&] { return descriptors_of(daemon.pid()).size(); };
  std::size_t least = count();
  EXPECT_TRUE(eventually(patience(), [&] {
    least = std::min(least, count());
    return daemon.first().status()["upgrade"]["predecessors"].empty();
  }));
  least = count();
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(daemon.upgrade().exitcode, 0);
    EXPECT_TRUE(eventually(patience(), [&] { return count() == least; }))
        << testing::PrintToString(descriptors_of(daemon.pid()));
  }
  daemon.remove_program();
  EXPECT_NE(daemon.upgrade().exitcode, 0);
  EXPECT_TRUE(eventually(patience(), [&] { return count() == least; }))
      << testing::PrintToString(descriptors_of(daemon.pid()));
}

TEST(Upgrade, OfAStartedDaemon) {
  const TempDir directory;
  const std::string control = directory.path("d.sock");
  const auto call = [&](Arguments arguments) {
    arguments.insert(arguments.begin() + 1, {"--control", control});
    return run_program(forkechod, arguments);
  };
  ASSERT_EQ(call({"start", "--listen", "127.0.0.1:0"}).exitcode, 0);
  const auto status = [&] {
    return nlohmann::json::parse(call({"status", "--json"}).out, nullptr, false);
  };
  const std::string target = status()["listen"][0];
  for (int i = 0; i < 3; ++i) {
    const pid_t before = status()["pid"];
    const Outcome upgraded = call({"upgrade"});
    EXPECT_EQ(upgraded.exitcode, 0) << upgraded.err << content_of(directory.path("d.log"));
    EXPECT_NE(status()["pid"], before);
    EXPECT_EQ(status()["listen"][0], target);
    EXPECT_EQ(TestClient(target).ask("x").data, "X");
  }
  EXPECT_EQ(call({"stop"}).exitcode, 0);
  EXPECT_EQ(TestClient(target).error(), ECONNREFUSED);
  EXPECT_FALSE(std::filesystem::exists(control));
}

// --- new programs that do not start ---

struct BadProgram {
  std::string name;
  std::string content;
  mode_t mode;
  std::string telling;
};
void PrintTo(const BadProgram& bad, std::ostream* out) {
  *out << bad.name;
}

std::string name_of_program(const testing::TestParamInfo<BadProgram>& info) {
  return info.param.name;
}

class UpgradeToABadProgram : public testing::TestWithParam<BadProgram> {};
INSTANTIATE_TEST_SUITE_P(
    Upgrade, UpgradeToABadProgram,
    testing::Values(
        BadProgram{"ends", "#!/bin/sh\nexit 1\n", 0755, "ended with exit code 1"},
        BadProgram{"is_not_executable", "#!/bin/sh\nexit 1\n", 0644, "Permission denied"},
        BadProgram{"is_no_program", "nonsense", 0755, "Exec format error"},
        BadProgram{"hangs", "#!/bin/sh\nexec sleep 100\n", 0755, "not ready within 700ms"},
        BadProgram{"has_other_options",
                   "#!/bin/sh\nexec '" + forkechod + "' run --no-such-option\n", 0755,
                   "no-such-option"},
        BadProgram{"cannot_listen",
                   "#!/bin/sh\nexec '" + forkechod + "' \"$@\" --listen 203.0.113.1:1\n", 0755,
                   "203.0.113.1:1"},
        BadProgram{"knows_no_handover",
                   "#!/bin/sh\nunset FORKECHOD_HANDOVER\nexec '" + forkechod + "' \"$@\"\n", 0755,
                   "exit code 69"}),
    name_of_program);

TEST_P(UpgradeToABadProgram, ChangesNothing) {
  UpgradableDaemon daemon({"--upgrade-timeout", "700ms"});
  ClientSwarm clients({.target = daemon.target(), .holding = 1, .fresh = 2});
  ASSERT_TRUE(clients.wait_for_replies(3));
  const pid_t before = daemon.pid();
  const auto tree = daemon.first().accepting_processes();
  daemon.replace_program(GetParam().content, GetParam().mode);
  const Outcome upgraded = daemon.upgrade();
  EXPECT_EQ(upgraded.exitcode, 71);
  EXPECT_TRUE(is_one_line(upgraded.err)) << upgraded.err;
  EXPECT_THAT(upgraded.err, HasSubstr("nothing has changed"));
  EXPECT_THAT(upgraded.err, HasSubstr(GetParam().telling));
  daemon.expect_to_be_served_by(before);
  EXPECT_EQ(daemon.first().accepting_processes(), tree);
  ASSERT_TRUE(clients.wait_for_replies(3));
  ASSERT_TRUE(clients.stop());
  expect_no_client_noticed(clients.totals());
  // And a good one is taken afterwards.
  daemon.remove_program();
  std::filesystem::create_symlink(forkechod, daemon.path("forkechod"));
  EXPECT_EQ(daemon.upgrade().exitcode, 0);
  EXPECT_NE(daemon.pid(), before);
  EXPECT_TRUE(daemon.stop());
}

// --- refusals ---

TEST(Upgrade, ASecondOneIsRefusedWhileTheFirstIsUnderWay) {
  UpgradableDaemon daemon;
  daemon.replace_program_by_gated();
  const auto first = daemon.call_in_background("upgrade");
  ASSERT_NE(daemon.successor(), 0);
  const Outcome second = daemon.upgrade();
  EXPECT_EQ(second.exitcode, 71);
  EXPECT_THAT(second.err, HasSubstr("an upgrade is under way"));
  daemon.open_gate();
  EXPECT_EQ(first->wait(), 0) << first->err();
  daemon.expect_to_be_served_by(daemon.pid());
}

TEST(Upgrade, IsRefusedWhileDraining) {
  UpgradableDaemon daemon;
  TestClient held(daemon.target());
  ASSERT_EQ(held.ask("a").data, "A");
  daemon.first().signal(SIGTERM);
  ASSERT_TRUE(
      eventually(patience(), [&] { return daemon.first().status()["state"] == "draining"; }));
  const Outcome upgraded = daemon.upgrade();
  EXPECT_EQ(upgraded.exitcode, 71);
  EXPECT_THAT(upgraded.err, HasSubstr("the daemon is draining"));
}

TEST(Upgrade, IsGivenUpWhenTheDaemonIsToStop) {
  UpgradableDaemon daemon;
  daemon.replace_program_by_gated();
  const auto upgrade = daemon.call_in_background("upgrade");
  ASSERT_NE(daemon.successor(), 0);
  EXPECT_TRUE(daemon.stop());
  EXPECT_EQ(upgrade->wait(), 71);
  EXPECT_THAT(upgrade->err(), HasSubstr("the daemon is to end"));
}

TEST(Upgrade, StopWaitsForThePredecessorToo) {
  UpgradableDaemon daemon;
  TestClient held(daemon.target());
  ASSERT_EQ(held.ask("a").data, "A");
  ASSERT_EQ(daemon.upgrade().exitcode, 0);
  const auto stop = daemon.call_in_background("stop");
  EXPECT_EQ(held.ask("b").data, "B");
  EXPECT_EQ(stop->wait(sys::Deadline::after(300ms)), std::nullopt);
  EXPECT_EQ(held.ask("c").data, "C");
  held.close();
  EXPECT_EQ(stop->wait(), 0);
  EXPECT_TRUE(daemon.session_is_empty());
}

TEST(Upgrade, StopNowEndsThePredecessorToo) {
  UpgradableDaemon daemon;
  TestClient held(daemon.target());
  ASSERT_EQ(held.ask("a").data, "A");
  ASSERT_EQ(daemon.upgrade().exitcode, 0);
  EXPECT_EQ(daemon.call("stop", {"--now"}).exitcode, 0);
  EXPECT_EQ(daemon.first().wait(), 0);
  EXPECT_TRUE(daemon.session_is_empty());
}

// --- either of the two is killed on the way ---

class KilledUpgrade : public testing::Test {
 protected:
  void begin() {
    daemon.replace_program_by_gated();
    upgrade = daemon.call_in_background("upgrade");
    successor = daemon.successor();
    ASSERT_NE(successor, 0);
  }
  void stop_the_old_and_make_the_new_ready() {
    begin();
    ASSERT_TRUE(stop_all({old}));
    daemon.open_gate();
    ASSERT_TRUE(daemon.is_ready(successor));
  }
  void expect_nothing_has_changed() {
    EXPECT_EQ(upgrade->wait(), 71);
    EXPECT_THAT(upgrade->err(), HasSubstr("nothing has changed"));
    daemon.expect_to_be_served_by(old);
    EXPECT_TRUE(daemon.stop());
  }
  void expect_the_new_one_is_the_daemon() {
    EXPECT_TRUE(eventually(patience(), [&] { return state_of(old) != 'T'; }));
    EXPECT_TRUE(eventually(patience(),
                           [&] { return daemon.pid_file() == std::to_string(successor) + "\n"; }));
    daemon.expect_to_be_served_by(successor);
    EXPECT_EQ(daemon.call("stop").exitcode, 0);
    EXPECT_TRUE(daemon.session_is_empty());
  }

  UpgradableDaemon daemon;
  const pid_t old = daemon.first().pid();
  std::unique_ptr<Program> upgrade;
  pid_t successor = 0;
};

TEST_F(KilledUpgrade, TheNewOneBeforeItWasReady) {
  begin();
  kill(successor, SIGKILL);
  expect_nothing_has_changed();
}

TEST_F(KilledUpgrade, TheNewOneWhenItWasReady) {
  stop_the_old_and_make_the_new_ready();
  kill(successor, SIGKILL);
  kill(old, SIGCONT);
  expect_nothing_has_changed();
}

TEST_F(KilledUpgrade, TheNewOneInTheMomentOfTakingOver) {
  stop_the_old_and_make_the_new_ready();
  ASSERT_TRUE(stop_all({successor}));
  kill(old, SIGCONT);
  ASSERT_TRUE(eventually(patience(), [&] {
    return daemon.pid_file() == std::to_string(successor) + "\n";
  })) << "the old one has handed over";
  kill(successor, SIGKILL);
  expect_nothing_has_changed();
}

TEST_F(KilledUpgrade, TheOldOneBeforeTheNewOneWasReady) {
  begin();
  kill(old, SIGKILL);
  daemon.open_gate();
  expect_the_new_one_is_the_daemon();
}

TEST_F(KilledUpgrade, TheOldOneWhenTheNewOneWasReady) {
  stop_the_old_and_make_the_new_ready();
  kill(old, SIGKILL);
  expect_the_new_one_is_the_daemon();
}

TEST_F(KilledUpgrade, TheOldOneInTheMomentOfHandingOver) {
  stop_the_old_and_make_the_new_ready();
  ASSERT_TRUE(stop_all({successor}));
  kill(old, SIGCONT);
  ASSERT_TRUE(eventually(patience(),
                         [&] { return daemon.pid_file() == std::to_string(successor) + "\n"; }));
  kill(old, SIGKILL);
  kill(successor, SIGCONT);
  expect_the_new_one_is_the_daemon();
}

TEST_F(KilledUpgrade, TheNewOneLaterAsAnyDaemon) {
  begin();
  daemon.open_gate();
  ASSERT_EQ(upgrade->wait(), 0) << upgrade->err();
  ASSERT_EQ(daemon.first().wait(), 0);
  kill(successor, SIGKILL);
  EXPECT_TRUE(daemon.session_is_empty());
  EXPECT_EQ(daemon.call("status").exitcode, 69);
}

// --- what the service manager hears ---

TEST(Upgrade, TheServiceManagerFollowsTheMainProcess) {
  NotifyReceiver manager;
  ProgramOptions program;
  program.before_exec = [&] { setenv("NOTIFY_SOCKET", manager.variable().c_str(), 1); };
  UpgradableDaemon daemon({}, {"127.0.0.1:0"}, std::move(program));
  EXPECT_EQ(manager.next(), "READY=1\nSTATUS=serving on " + daemon.target());
  ASSERT_EQ(daemon.upgrade().exitcode, 0);
  EXPECT_EQ(manager.next(), "MAINPID=" + std::to_string(daemon.pid()));
  EXPECT_EQ(manager.next(), "READY=1\nSTATUS=serving on " + daemon.target());
  daemon.replace_program("#!/bin/sh\nexit 1\n");
  EXPECT_EQ(daemon.upgrade().exitcode, 71);
  EXPECT_TRUE(daemon.stop());
  EXPECT_THAT(manager.all(), testing::ElementsAre("STOPPING=1\nSTATUS=draining"));
}

TEST(ServiceManager, GetsSignsOfLifeAlsoFromAReplacement) {
  NotifyReceiver manager;
  ProgramOptions program;
  program.before_exec = [&] {
    setenv("NOTIFY_SOCKET", manager.variable().c_str(), 1);
    setenv("WATCHDOG_USEC", "200000", 1);
    setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  };
  UpgradableDaemon daemon({}, {"127.0.0.1:0"}, std::move(program));
  const auto hears_signs = [&] {
    int signs = 0;
    for (std::string message = "first"; signs < 3 && !message.empty();
         signs += message == "WATCHDOG=1")
      message = manager.next(sys::Deadline::after(5s));
    return signs == 3;
  };
  EXPECT_TRUE(hears_signs());
  ASSERT_EQ(daemon.upgrade().exitcode, 0);
  ASSERT_EQ(daemon.first().wait(), 0);
  manager.all();
  EXPECT_TRUE(hears_signs());
}

}  // namespace
}  // namespace forkecho::tests
