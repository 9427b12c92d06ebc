// What acceptors, workers and children are confined to in the real daemon, as the kernel tells it;
// that the daemon works so in every mode; and what becomes of a process that oversteps.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/intrude.h"
#include "tests/support/ordinary_user.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using testing::HasSubstr;

/// /proc/PID/status: each line's name, and the rest.
std::map<std::string, std::string> kernels_view(pid_t pid) {
  std::istringstream lines(content_of("/proc/" + std::to_string(pid) + "/status"));
  std::map<std::string, std::string> view;
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(':');
    const auto value = line.find_first_not_of(" \t", colon + 1);
    view[line.substr(0, colon)] = value == std::string::npos ? "" : line.substr(value);
  }
  return view;
}

constexpr const char* none = "0000000000000000";

void expect_no_privileges(pid_t pid) {
  const auto view = kernels_view(pid);
  ASSERT_FALSE(view.empty()) << "it has gone";
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) EXPECT_EQ(view.at(set), none);
  EXPECT_EQ(view.at("NoNewPrivs"), "1");
  EXPECT_EQ(view.at("Seccomp"), "2");
  EXPECT_THAT(content_of("/proc/" + std::to_string(pid) + "/limits"),
              testing::ContainsRegex("Max core file size +0 +0 "));
}

void expect_nobody(pid_t pid, const std::string& root) {
  const auto view = kernels_view(pid);
  ASSERT_FALSE(view.empty()) << "it has gone";
  EXPECT_EQ(view.at("Uid"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(view.at("Gid"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(view.at("Groups"), "");
  EXPECT_EQ(view.at("CapBnd"), none);
  const auto link = "/proc/" + std::to_string(pid) + "/root";
  EXPECT_EQ(std::filesystem::read_symlink(link), std::filesystem::canonical(root));
}

/// All below the supervisor, once none of them is on its way into its confinement.
std::vector<pid_t> confined_processes(const DaemonUnderTest& daemon) {
  std::vector<pid_t> pids;
  EXPECT_TRUE(eventually(patience(), [&] {
    pids.clear();
    for (const ProcessView& view : living_below(daemon.pid())) pids.push_back(view.pid);
    return std::all_of(pids.begin(), pids.end(), [](pid_t pid) {
      const auto view = kernels_view(pid);
      return !view.empty() && view.at("Seccomp") == "2";
    });
  }));
  return pids;
}

struct Confined {
  ModeUnderTest mode;
  std::string sandbox;
};

std::vector<Confined> every_confinement() {
  std::vector<Confined> all;
  for (const ModeUnderTest& mode : all_modes) {
    for (const char* sandbox : {"on", "strict"}) all.push_back({mode, sandbox});
  }
  return all;
}

void PrintTo(const Confined& confined, std::ostream* out) {
  *out << confined.mode.name << " " << confined.sandbox;
}

class RunAsNobody : public testing::TestWithParam<Confined> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
  }
  DaemonUnderTest::Options options() const {
    Arguments arguments = GetParam().mode.arguments;
    for (const char* more : {"--user", "nobody", "--group", "nogroup", "--sandbox"})
      arguments.emplace_back(more);
    arguments.push_back(GetParam().sandbox);
    arguments.insert(arguments.end(), {"--chroot", root_});
    return {.arguments = arguments, .control = {}, .program = {}};
  }
  const ModeUnderTest& mode() const { return GetParam().mode; }
  const std::string& root() const { return root_; }

 private:
  const TempDir directory_;
  const std::string root_ = directory_.path("");
};

TEST_P(RunAsNobody, EveryProcessIsConfinedAndServesAndTheSupervisorIsNot) {
  DaemonUnderTest daemon(options());
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("straße").data, "STRASSE");
  const auto pids = confined_processes(daemon);
  ASSERT_GE(pids.size(), mode().is_fork() ? 2U : 1U);
  for (const pid_t pid : pids) {
    SCOPED_TRACE(title_of(pid));
    expect_no_privileges(pid);
    expect_nobody(pid, root());
  }
  EXPECT_EQ(kernels_view(daemon.pid()).at("Uid"), "0\t0\t0\t0");
  EXPECT_EQ(kernels_view(daemon.pid()).at("Seccomp"), "0");
}

TEST_P(RunAsNobody, StatusTellsIt) {
  DaemonUnderTest daemon(options());
  // The filter is the last that a process takes before its first client.
  ASSERT_TRUE(eventually(patience(),
                         [&] { return daemon.status().at("confinement").at("system_calls") > 0; }));
  const auto confinement = daemon.status().at("confinement");
  EXPECT_EQ(confinement.at("sandbox"), GetParam().sandbox);
  EXPECT_EQ(confinement.at("user"), "nobody");
  EXPECT_EQ(confinement.at("group"), "nogroup");
  EXPECT_EQ(confinement.at("chroot"), root());
  EXPECT_EQ(confinement.at("capabilities"), "none");
  EXPECT_EQ(confinement.at("no_new_privs"), true);
  EXPECT_GT(confinement.at("system_calls"), 20);
  EXPECT_LT(confinement.at("system_calls"), confinement.contains("widened_by") ? 120 : 60);
  const Outcome text = run_program(forkechod, {"status", "--control", daemon.control()});
  EXPECT_THAT(text.out,
              HasSubstr("sandbox " + GetParam().sandbox + ", user nobody, group nogroup"));
}

TEST_P(RunAsNobody, WhoeverReplacesAKilledProcessIsConfined) {
  DaemonUnderTest daemon(options());
  {
    TestClient client(daemon.target());
    ASSERT_EQ(client.ask("before").data, "BEFORE");
  }
  const auto before = daemon.accepting_processes();
  ASSERT_FALSE(before.empty());
  ASSERT_TRUE(stop_all(before));
  std::set<pid_t> left_behind;  // workers that the killed one had forked ahead leave when they will
  for (const ProcessView& view : living_below(daemon.pid())) left_behind.insert(view.pid);
  for (const pid_t pid : before) kill(pid, SIGKILL);
  ASSERT_TRUE(eventually(patience(), [&] {
    const auto now = daemon.accepting_processes();
    return !now.empty() && std::find(before.begin(), before.end(), now.front()) == before.end();
  }));
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("after").data, "AFTER");
  EXPECT_EQ(left_behind.count(daemon.accepting_processes().at(0)), 0U);
  for (const pid_t pid : confined_processes(daemon)) {
    if (left_behind.count(pid) != 0) continue;
    expect_no_privileges(pid);
    expect_nobody(pid, root());
  }
}

TEST_P(RunAsNobody, TheDrainServesWhoIsThere) {
  DaemonUnderTest daemon(options());
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("before").data, "BEFORE");
  daemon.signal(SIGTERM);
  ASSERT_TRUE(eventually(patience(), [&] { return !TestClient(daemon.target()).connected(); }));
  EXPECT_EQ(client.ask("after").data, "AFTER");
  client.half_close();
  EXPECT_EQ(client.receive_to_end().heard, Heard::end);
  EXPECT_EQ(daemon.wait(), 0);
}

TEST_P(RunAsNobody, AClientThatStaysIsAnsweredAndClosedAtTheDrainTimeout) {
  auto with_timeout = options();
  with_timeout.arguments.insert(with_timeout.arguments.end(), {"--drain-timeout", "100ms"});
  DaemonUnderTest daemon(std::move(with_timeout));
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("before").data, "BEFORE");
  daemon.signal(SIGTERM);
  EXPECT_EQ(client.receive_to_end().heard, Heard::end);
  EXPECT_EQ(daemon.wait(), 0);
  const auto books = books_in_log(daemon.log());
  ASSERT_TRUE(books);
  EXPECT_EQ(books->timed_out, 1U) << daemon.log();
  EXPECT_EQ(books->crashed, 0U) << daemon.log();
}

INSTANTIATE_TEST_SUITE_P(Confinements, RunAsNobody, testing::ValuesIn(every_confinement()),
                         [](const testing::TestParamInfo<Confined>& seen) {
                           return seen.param.mode.name + "_" + seen.param.sandbox;
                         });

class Confinement : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(Confinement, HoldsForOrdinaryUsers) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  const TempDir directory;
  const uid_t user = user_of_its_own();
  sys::check_syscall(chown(directory.path("").c_str(), user, user), "chown");
  DaemonUnderTest daemon({.arguments = GetParam().arguments,
                          .control = directory.path("d.sock"),
                          .program = {.input = {}, .before_exec = [=] { become(user); }}});
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("ordinary").data, "ORDINARY");
  for (const pid_t pid : confined_processes(daemon)) expect_no_privileges(pid);
  const auto confinement = daemon.status().at("confinement");
  EXPECT_EQ(confinement.at("user"), std::to_string(user));
  EXPECT_EQ(confinement.at("no_new_privs"), true);
  client.close();
  EXPECT_EQ(daemon.stop(), 0);
}

TEST_P(Confinement, OffTakesNothing) {
  Arguments arguments = GetParam().arguments;
  arguments.insert(arguments.end(), {"--sandbox", "off"});
  DaemonUnderTest daemon(arguments);
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("off").data, "OFF");
  for (const pid_t pid : daemon.accepting_processes()) {
    EXPECT_EQ(kernels_view(pid).at("Seccomp"), "0");
    EXPECT_EQ(kernels_view(pid).at("CapEff"), kernels_view(daemon.pid()).at("CapEff"));
  }
  EXPECT_EQ(daemon.status().at("confinement").at("system_calls"), 0);
}

/// The one who holds the connection of a client that was answered.
pid_t serving_process(DaemonUnderTest& daemon) {
  const auto status = daemon.status();
  for (const auto& slot : status.at("slots")) {
    if (slot.at("state") == "serving") return slot.at("pid");
  }
  return 0;
}

TEST_P(Confinement, WhoOverstepsItDiesAndIsCountedAndNothingElseHappens) {
  if (!can_intrude || geteuid() != 0) GTEST_SKIP() << "needs root on x86-64, to trace";
  const TempDir directory;
  DaemonUnderTest daemon(GetParam());
  if (daemon.status().at("confinement").contains("widened_by")) GTEST_SKIP() << "widened";
  const long calls[][3] = {
      {SYS_socket, AF_INET, SOCK_STREAM}, {SYS_execve, 0, 0},      {SYS_openat, AT_FDCWD, 0},
      {SYS_kill, daemon.pid(), SIGKILL},  {SYS_kill, -1, SIGKILL}, {SYS_setuid, 0, 0}};
  std::uint64_t crashed = 0;
  for (const auto& call : calls) {
    TestClient neighbour(daemon.target());
    ASSERT_EQ(neighbour.ask("calm").data, "CALM");
    neighbour.close();
    ASSERT_TRUE(daemon.books_at_rest());
    TestClient victim(daemon.target());
    ASSERT_EQ(victim.ask("taken over").data, "TAKEN OVER");
    const pid_t pid = serving_process(daemon);
    ASSERT_NE(pid, 0);
    // An event worker's neighbours would die with it; a process's own neighbours do not.
    TestClient other(daemon.target());
    const bool has_neighbour = !GetParam().is_event() && !GetParam().holds_others_up();
    if (has_neighbour) {
      ASSERT_EQ(other.ask("here").data, "HERE");
    }
    make_call(pid, call[0], static_cast<unsigned long>(call[1]),
              static_cast<unsigned long>(call[2]));
    EXPECT_NE(victim.receive_to_end().heard, Heard::timed_out);
    if (has_neighbour) {
      EXPECT_EQ(other.ask("still here").data, "STILL HERE");
    }
    other.close();
    const auto books = daemon.books_at_rest();
    ASSERT_TRUE(books);
    ++crashed;
    EXPECT_GE(books->crashed, crashed) << "after " << call[0];
    EXPECT_LE(books->crashed, GetParam().is_event() ? 2 * crashed : crashed);
    EXPECT_TRUE(books->balance()) << testing::PrintToString(*books);
    EXPECT_THAT(daemon.log(), HasSubstr("signal 31"));
  }
  EXPECT_TRUE(daemon.is_alive());
}

INSTANTIATE_TEST_SUITE_P(Modes, Confinement, testing::ValuesIn(all_modes), name_of_mode);

/// The first line that an acceptor logs, in a root without the files that the clock's zone is in.
TEST(ConfinedLog, IsWrittenFromAnEmptyRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const TempDir directory;
  DaemonUnderTest daemon({"--log-level", "warning", "--user", "nobody", "--chroot",
                          directory.path(""), "--log-format", "json"});
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("x").data, "X");
  const pid_t acceptor = daemon.accepting_processes().at(0);
  const pid_t child = serving_process(daemon);
  ASSERT_NE(child, 0) << daemon.status();
  kill(child, SIGKILL);
  ASSERT_TRUE(eventually(patience(), [&] {
    return daemon.log().find("was ended by signal 9") != std::string::npos;
  })) << daemon.log();
  EXPECT_EQ(daemon.accepting_processes().at(0), acceptor) << "it died of its line";
}

Outcome start_with(Arguments arguments, std::function<void()> before_exec = {}) {
  const TempDir directory;
  if (geteuid() == 0) chmod(directory.path("").c_str(), 0777);
  arguments.insert(arguments.begin(), "run");
  arguments.insert(arguments.end(),
                   {"--listen", "127.0.0.1:0", "--control", directory.path("d.sock")});
  return run_program(forkechod, arguments,
                     {.input = {}, .before_exec = std::move(before_exec), .own_session = true});
}

void expect_refusal(const Outcome& outcome, int exitcode, const std::string& reason) {
  EXPECT_EQ(outcome.exitcode, exitcode) << outcome.err;
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(reason));
}

TEST(ConfinementRefused, UnknownUsersAndGroupsAreAnErrorOfTheConfiguration) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  expect_refusal(start_with({"--user", "no-such-user"}), 78, "no such user");
  expect_refusal(start_with({"--group", "no-such-group"}), 78, "no such group");
  expect_refusal(start_with({"--user", "123456"}), 78, "--group");
}

TEST(ConfinementRefused, ARootThatIsNotThereEndsTheStart) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  expect_refusal(start_with({"--chroot", "/no/such/root"}), 71, "--chroot '/no/such/root'");
}

TEST(ConfinementRefused, OrdinaryUsersAreToldWhatNeedsRoot) {
  const auto as_ordinary = [] {
    if (geteuid() == 0) become(user_of_its_own());
  };
  expect_refusal(start_with({"--user", "nobody"}, as_ordinary), 64, "--user needs root");
  expect_refusal(start_with({"--group", "nogroup"}, as_ordinary), 64, "--group needs root");
  expect_refusal(start_with({"--chroot", "/"}, as_ordinary), 64, "--chroot needs root");
}

TEST(ConfinementRefused, AWrongSandboxIsAnErrorOfUsage) {
  expect_refusal(start_with({"--sandbox", "tight"}), 64, "on, strict, off");
}

/// As under a kernel, or an emulator, that does not know the call.
void forget_seccomp() {
  sock_filter code[]{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  sys::check_syscall(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
  sys::check_syscall(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "PR_SET_SECCOMP");
}

TEST(KernelWithoutFilters, IsWarnedOfAndServesAllTheSame) {
  DaemonUnderTest daemon({.arguments = {"--mode", "fork"},
                          .control = {},
                          .program = {.input = {}, .before_exec = forget_seccomp}});
  TestClient client(daemon.target());
  EXPECT_EQ(client.ask("old kernel").data, "OLD KERNEL");
  const auto confinement = daemon.status().at("confinement");
  EXPECT_EQ(confinement.at("sandbox"), "off (kernel)");
  EXPECT_EQ(confinement.at("system_calls"), 0);
  EXPECT_EQ(confinement.at("no_new_privs"), true);
  EXPECT_THAT(daemon.log(), HasSubstr("no filter of system calls"));
}

TEST(KernelWithoutFilters, IsNotEnoughForStrict) {
  expect_refusal(start_with({"--sandbox", "strict"}, forget_seccomp), 71, "--sandbox strict");
}

}  // namespace
}  // namespace forkecho::tests
