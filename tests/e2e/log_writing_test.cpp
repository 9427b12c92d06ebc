// What happens when the log cannot be written: nothing, but for a count and a line that tells it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// A file system of a few pages.
class SmallDisk {
 public:
  SmallDisk() {
    if (geteuid() != 0) {
      why_not_ = "needs root, to mount a file system of a few pages";
    } else if (mkdir(path_.c_str(), 0700) != 0 ||
               mount("none", path_.c_str(), "tmpfs", 0, "size=16k") != 0) {
      why_not_ = std::string("no mounting here: ") + std::strerror(errno);
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (why_not_.empty()) umount2(path_.c_str(), MNT_DETACH);
  }
  const std::string& why_not() const { return why_not_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  void fill() const {
    std::ofstream file(path("filler"), std::ios::app);
    for (int page = 0; page < 8 && file; ++page) file << std::string(4096, 'x') << std::flush;
  }
  void make_room() const { unlink(path("filler").c_str()); }

 private:
  const TempDir directory_;
  const std::string path_ = directory_.path("disk");
  std::string why_not_;
};

/// A client's child is killed, which makes a line.
void crash_one(DaemonUnderTest& daemon) {
  const BooksSeen before = daemon.books();
  TestClient client(daemon.target());
  ASSERT_EQ(client.ask("x").data, "X");
  kill(daemon.status().at("slots").at(0).at("pid").get<pid_t>(), SIGKILL);
  ASSERT_TRUE(eventually(patience(), [&] { return daemon.books().crashed > before.crashed; }));
}

sys::Duration time_of_status(DaemonUnderTest& daemon) {
  const auto start = sys::Clock::now();
  EXPECT_GT(daemon.status().at("pid"), 0);
  return sys::Clock::now() - start;
}

TEST(AFullDisk, LosesLinesAndNothingElseAndIsTold) {
  const SmallDisk disk;
  if (!disk.why_not().empty()) GTEST_SKIP() << disk.why_not();
  // A page with little room in it, so that a line is cut short soon.
  write_file(disk.path("log"), '"' + std::string(3400, 'x') + "\"\n");
  DaemonUnderTest daemon({"--log-file", disk.path("log"), "--log-format", "json"});
  disk.fill();
  for (int i = 0; i < 10; ++i) ASSERT_NO_FATAL_FAILURE(crash_one(daemon));
  const std::uint64_t lost = daemon.status().at("log").at("lost");
  EXPECT_GE(lost, 5U);
  EXPECT_LT(time_of_status(daemon), 5s);
  EXPECT_EQ(TestClient(daemon.target()).ask("still here").data, "STILL HERE");
  disk.make_room();
  ASSERT_TRUE(eventually(patience(), [&] {
    return content_of(disk.path("log")).find("lines of the log") != std::string::npos;
  })) << content_of(disk.path("log"));
  EXPECT_THAT(content_of(disk.path("log")), HasSubstr("\"" + std::to_string(lost) + " lines of"));
  EXPECT_EQ(daemon.stop(), 0);
  // All is JSON but for what the full disk cut short, which is one line by itself.
  std::istringstream lines(content_of(disk.path("log")));
  int cut = 0;
  for (std::string line; std::getline(lines, line);) cut += !nlohmann::json::accept(line);
  EXPECT_LE(cut, 1);
}

/// The daemon with a pipe for standard error.
ProgramOptions logging_to(int end) {
  return {.input = {},
          .before_exec = [end] { sys::check_syscall(dup2(end, STDERR_FILENO), "dup2"); },
          .own_session = true};
}

class LogInAPipe : public testing::Test {
 protected:
  /// Without DaemonUnderTest, which reads the log.
  void start() {
    program_.emplace(forkechod, Arguments{"run", "--listen", "127.0.0.1:0", "--control", control_},
                     logging_to(pipe_.write.get()));
    ASSERT_TRUE(eventually(patience(), [&] { return !status().is_null(); }));
  }
  nlohmann::json status() const {
    const Outcome outcome = run_program(forkechod, {"status", "--json", "--control", control_});
    return outcome.exitcode == 0 ? nlohmann::json::parse(outcome.out) : nlohmann::json();
  }
  void crash_one() const {
    const std::uint64_t before = status().at("connections").at("crashed");
    TestClient client(status().at("listen").at(0).get<std::string>());
    ASSERT_EQ(client.ask("x").data, "X");
    kill(status().at("slots").at(0).at("pid").get<pid_t>(), SIGKILL);
    ASSERT_TRUE(
        eventually(patience(), [&] { return status().at("connections").at("crashed") > before; }));
  }
  bool ends_with_0() {
    program_->signal(SIGTERM);
    return program_->wait() == 0;
  }

  const TempDir directory_;
  const std::string control_ = directory_.path("c.sock");
  Pipe pipe_;
  std::optional<Program> program_;
};

TEST_F(LogInAPipe, WhoseReaderHasGoneItGoesOn) {
  start();
  pipe_.read.reset();
  crash_one();
  crash_one();
  EXPECT_GE(status().at("log").at("lost"), 2);
  EXPECT_TRUE(ends_with_0());
}

TEST_F(LogInAPipe, WhoseReaderSleepsItGoesOn) {
  start();
  fcntl(pipe_.write.get(), F_SETPIPE_SZ, 4096);
  ASSERT_EQ(fcntl(pipe_.write.get(), F_GETFL) & O_NONBLOCK, 0) << "it is ours as well";
  for (int i = 0; i < 40 && status().at("log").at("lost") == 0; ++i) crash_one();
  crash_one();
  EXPECT_GE(status().at("log").at("lost"), 1);
  EXPECT_TRUE(ends_with_0());
}

}  // namespace
}  // namespace forkecho::tests
