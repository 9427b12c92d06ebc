// What goes wrong is told in one clear line with the right exit code, and nothing is half-written.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/daemon_under_test.h"
#include "tests/support/scripted_server.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using testing::HasSubstr;

Arguments short_load(const std::string& target, Arguments more = {}) {
  Arguments arguments{"load", target, "-n", "50", "-c", "2", "-w", "1", "--warmup", "0", "--quiet"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

void expect_line(const Outcome& outcome, int exitcode, const std::string& telling) {
  EXPECT_EQ(outcome.exitcode, exitcode) << outcome.err;
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(telling));
}

ProgramOptions writing_to(const char* path) {
  return {.input = {},
          .before_exec =
              [path] {
                const int file = sys::check_syscall(open(path, O_WRONLY | O_CLOEXEC), path);
                sys::check_syscall(dup2(file, STDOUT_FILENO), "dup2");
              },
          .own_session = false};
}

TEST(ErrorLines, AServerThatIsNotThere) {
  const std::string target = unanswered_target();
  const Outcome load = run_program(forkecho, short_load(target));
  expect_line(load, 69, target);
  EXPECT_EQ(load.out, "");
  expect_line(run_program(forkecho, {"connect", target}), 69, target);
  expect_line(run_program(forkecho, {"connect", "unix:/tmp/forkecho-no-such-socket"}), 69,
              "/tmp/forkecho-no-such-socket");
}

TEST(ErrorLines, BadOptions) {
  for (const Arguments& bad : std::vector<Arguments>{{},
                                                     {"dance"},
                                                     {"connect"},
                                                     {"connect", "nonsense"},
                                                     {"load", "127.0.0.1:1", "--workload", "odd"},
                                                     {"load", "127.0.0.1:1", "-c", "0"},
                                                     {"load", "127.0.0.1:1", "-d", "soon"},
                                                     {"load", "127.0.0.1:1", "--no-such-option"}}) {
    SCOPED_TRACE(testing::PrintToString(bad));
    const Outcome outcome = run_program(forkecho, bad);
    expect_line(outcome, 64, "");
    EXPECT_EQ(outcome.out, "");
  }
}

/// Replies with the right number of the wrong bytes.
void answer_wrong(int socket) {
  char request[4096];
  for (ssize_t length; (length = read(socket, request, sizeof request)) > 0;) {
    request[length - 1] = '#';
    if (write(socket, request, static_cast<std::size_t>(length)) != length) return;
  }
}

TEST(ErrorLines, AServerThatAnswersWrongBytes) {
  ScriptedServer server(answer_wrong);
  const Outcome load = run_program(forkecho, {"load", server.target(), "-n", "5", "-c", "1", "-w",
                                              "1", "--warmup", "0", "--json", "-"});
  EXPECT_EQ(load.exitcode, 1);
  const auto run = nlohmann::json::parse(load.out);
  EXPECT_GT(run["verification"]["mismatched"], 0);
}

TEST(ErrorLines, ADaemonThatChangesNothing) {
  DaemonUnderTest daemon({"--transform", "none"});
  EXPECT_EQ(run_program(forkecho, short_load(daemon.target())).exitcode, 1);
  EXPECT_EQ(run_program(forkecho, short_load(daemon.target(), {"--expect", "none"})).exitcode, 0);
}

TEST(ErrorLines, AFullDeviceForTheReport) {
  DaemonUnderTest daemon;
  const auto device = run_program(forkecho, short_load(daemon.target(), {"--json", "/dev/full"}));
  expect_line(device, 71, "/dev/full");
  expect_line(
      run_program(forkecho, short_load(daemon.target(), {"--json", "-"}), writing_to("/dev/full")),
      71, "standard output");
  expect_line(run_program(forkecho, short_load(daemon.target()), writing_to("/dev/full")), 71,
              "standard output");
  expect_line(run_program(forkecho, {"connect", daemon.target(), "--message", "a"},
                          writing_to("/dev/full")),
              71, "output");
  expect_line(run_program(forkechod, {"status", "--json", "--control", daemon.control()},
                          writing_to("/dev/full")),
              71, "standard output");
  expect_line(run_program(forkechod, {"--help"}, writing_to("/dev/full")), 71, "standard output");
}

/// A file system of a page, gone with the object.
class TinyDisk {
 public:
  TinyDisk() : mounted_(mount("forkecho", path().c_str(), "tmpfs", 0, "size=4k") == 0) {}
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;
  ~TinyDisk() {
    if (mounted_) umount2(path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  std::string path() const { return directory_.path(""); }

 private:
  TempDir directory_;
  const bool mounted_;
};

TEST(ErrorLines, AFullDiskLeavesTheOldReportAsItWas) {
  const TinyDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "may not mount a file system here";
  const std::string report = disk.path() + "run.json";
  write_file(report, "the old one");  // takes the only page
  DaemonUnderTest daemon;
  expect_line(run_program(forkecho, short_load(daemon.target(), {"--json", report})), 71, report);
  EXPECT_EQ(content_of(report), "the old one");
  for (const auto& entry : std::filesystem::directory_iterator(disk.path()))
    EXPECT_EQ(entry.path().string(), report) << "was left";
}

TEST(ErrorLines, AReportThatCannotBeWrittenIsToldBeforeTheRun) {
  DaemonUnderTest daemon;
  expect_line(run_program(forkecho, short_load(daemon.target(), {"--json", "/proc/none/run.json"})),
              71, "/proc/none/run.json");
  const TempDir directory;
  expect_line(run_program(forkecho, short_load(daemon.target(), {"--json", directory.path("")})),
              71, directory.path(""));
  EXPECT_EQ(daemon.books().accepted, 0U);
}

TEST(ErrorLines, AnInputThatCannotBeRead) {
  DaemonUnderTest daemon;
  const Outcome outcome = run_program(forkecho, {"connect", daemon.target()},
                                      {.input = "/tmp", .before_exec = {}, .own_session = false});
  expect_line(outcome, 71, "input");
}

TEST(ErrorLines, AFullDiskForTheLogDoesNotStopTheDaemon) {
  DaemonUnderTest daemon({"--log-file", "/dev/full"});
  for (int i = 0; i < 20; ++i) ASSERT_EQ(TestClient(daemon.target()).ask("on").data, "ON");
  ASSERT_TRUE(daemon.books_at_rest());
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace forkecho::tests
