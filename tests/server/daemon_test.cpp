#include "server/daemon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/running_daemon.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using sys::Deadline;
using testing::HasSubstr;

/// A daemon that start_daemon started; stopped at the end.
class Started {
 public:
  explicit Started(Options options) : options_(std::move(options)) {
    start_daemon(options_);
    pid_ = status_at(options_.control)["pid"];
  }
  ~Started() {
    kill(pid_, SIGKILL);
    tests::exitcode_of(pid_);
  }
  pid_t pid() const { return pid_; }
  sys::Descriptor connect() const {
    return tests::connect_to(
        tests::address_of(status_at(options_.control)["listen"][0].get<std::string>()));
  }

 private:
  Options options_;
  pid_t pid_ = 0;
};

template <typename Attempt>
FatalError error_of(Attempt attempt) {
  try {
    attempt();
  } catch (const FatalError& error) {
    return error;
  }
  return {ExitCode::ok, ""};
}

TEST(StartDaemon, ReturnsOnceItListens) {
  const tests::TempDir directory;
  const Started daemon(daemon_options(directory));
  EXPECT_EQ(tests::echo(daemon.connect().get(), "at once"), "AT ONCE");
  EXPECT_EQ(tests::content_of(directory.path("d.pid")), std::to_string(daemon.pid()) + "\n");
}

TEST(StartDaemon, LetsGoOfTheTerminal) {
  const tests::TempDir directory;
  const Started daemon(daemon_options(directory));
  EXPECT_EQ(getsid(daemon.pid()), daemon.pid());
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
    auto descriptors = tests::descriptors_of(daemon.pid());
    return descriptors[0] == "/dev/null" && descriptors[1] == "/dev/null" &&
           descriptors[2] == "/dev/null";
  }));
}

TEST(StartDaemon, SaysWhatKeptTheDaemonFromIt) {
  const tests::TempDir directory;
  const Listener taken = Listener::open(tests::address_of("127.0.0.1:0"), 1);
  Options options = daemon_options(directory);
  options.listen = {taken.address().to_string()};
  const FatalError in_use = error_of([&] { start_daemon(options); });
  EXPECT_EQ(in_use.code(), ExitCode::unavailable);
  EXPECT_THAT(in_use.what(), HasSubstr("cannot listen on " + taken.address().to_string()));
  options = daemon_options(directory);
  options.log.file = directory.path("missing/d.log");
  const FatalError no_log = error_of([&] { start_daemon(options); });
  EXPECT_EQ(no_log.code(), ExitCode::system);
  EXPECT_THAT(no_log.what(), HasSubstr("missing/d.log"));
  EXPECT_TRUE(tests::eventually(tests::patience(), [] { return mp::active_children().empty(); }));
}

TEST(StartDaemon, ASecondOneIsRefused) {
  const tests::TempDir directory;
  const Started daemon(daemon_options(directory));
  const FatalError error = error_of([&] { start_daemon(daemon_options(directory)); });
  EXPECT_EQ(error.code(), ExitCode::unavailable);
  EXPECT_THAT(error.what(), HasSubstr(std::to_string(daemon.pid())));
  EXPECT_TRUE(
      tests::eventually(tests::patience(), [] { return mp::active_children().size() == 1; }));
  EXPECT_EQ(tests::echo(daemon.connect().get(), "x"), "X");
}

TEST(StopDaemon, ReturnsOnceItIsGone) {
  const tests::TempDir directory;
  const Options options = daemon_options(directory);
  const Started daemon(options);
  const sys::Descriptor sentinel = mp::open_sentinel(daemon.pid());
  stop_daemon(options.control, false, tests::patience());
  EXPECT_TRUE(tests::readable(sentinel.get(), Deadline::after(0s)));
  EXPECT_EQ(error_of([&] { stop_daemon(options.control, false, tests::patience()); }).code(),
            ExitCode::unavailable);
}

TEST(StopDaemon, GivesUpAtTheDeadlineAndNowHelps) {
  const tests::TempDir directory;
  const Options options = daemon_options(directory);
  const Started daemon(options);
  const sys::Descriptor client = daemon.connect();
  EXPECT_EQ(tests::echo(client.get(), "x"), "X");
  const FatalError error =
      error_of([&] { stop_daemon(options.control, false, Deadline::after(50ms)); });
  EXPECT_EQ(error.code(), ExitCode::system);
  EXPECT_THAT(error.what(), HasSubstr("--timeout"));
  EXPECT_EQ(tests::echo(client.get(), "still served"), "STILL SERVED");
  EXPECT_EQ(error_of([&] { stop_daemon(options.control, true, tests::patience()); }).code(),
            ExitCode::ok);
}

TEST(DaemonStatus, HasTwoForms) {
  const tests::TempDir directory;
  const Options options = daemon_options(directory);
  const Started daemon(options);
  const std::string json = daemon_status(options.control, true);
  EXPECT_EQ(nlohmann::json::parse(json)["pid"], daemon.pid());
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 1);
  EXPECT_THAT(daemon_status(options.control, false), HasSubstr(std::to_string(daemon.pid())));
}

TEST(DaemonStatus, NobodyThere) {
  const tests::TempDir directory;
  EXPECT_EQ(error_of([&] { daemon_status(directory.path("d.sock"), true); }).code(),
            ExitCode::unavailable);
}

}  // namespace
}  // namespace forkecho::server
