// --final-status: what a daemon leaves is what its clients have counted, in every mode.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/support/daemon_under_test.h"

namespace forkecho::tests {
namespace {

using ::testing::HasSubstr;

nlohmann::json read_json(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
}

class FinalStatusInEveryMode : public testing::TestWithParam<ModeUnderTest> {};

TEST_P(FinalStatusInEveryMode, IsWhatTheClientCounted) {
  const TempDir directory;
  const std::string file = directory.path("final.json");
  DaemonUnderTest daemon(GetParam(), {"--final-status", file});
  const Outcome load = run_program(
      forkecho, {"load", daemon.target(), "--workload", "crr", "-n", "200", "-c",
                 GetParam().holds_others_up() ? "1" : "3", "--warmup", "0", "--json", "-"});
  const auto run = nlohmann::json::parse(load.out);
  EXPECT_FALSE(std::filesystem::exists(file)) << "the daemon lives";
  ASSERT_EQ(daemon.stop(), 0) << daemon.log();
  const auto status = read_json(file);
  ASSERT_TRUE(status.is_object());
  const BooksSeen books = books_in(status);
  EXPECT_EQ(books.accepted, run["totals"]["connections"]);
  EXPECT_EQ(books.bytes_in, run["totals"]["bytes_out"]);
  EXPECT_EQ(books.bytes_out, run["totals"]["bytes_in"]);
  EXPECT_EQ(books.active, 0U);
  EXPECT_EQ(books.forked, books.reaped);
  EXPECT_TRUE(books.balance());
}

INSTANTIATE_TEST_SUITE_P(Modes, FinalStatusInEveryMode, testing::ValuesIn(all_modes), name_of_mode);

TEST(FinalStatusOfADaemon, IsLeftOutsideOfWhatItsProcessesSee) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const TempDir directory;
  const std::string root = directory.path("root");
  ASSERT_EQ(mkdir(root.c_str(), 0755), 0);
  const std::string file = directory.path("final.json");
  DaemonUnderTest daemon(Arguments{"--final-status", file, "--user", "nobody", "--chroot", root});
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
  EXPECT_EQ(books_in(read_json(file)).accepted, 0U);
}

TEST(FinalStatusOfADaemon, ThatCannotBeWrittenIsRefusedAtTheStart) {
  const TempDir directory;
  for (const char* verb : {"run", "start", "check"}) {
    const Outcome outcome =
        run_program(forkechod, {verb, "--listen", "127.0.0.1:0", "--control",
                                directory.path("c.sock"), "--final-status", "/nowhere/f"});
    EXPECT_EQ(outcome.exitcode, 71) << verb;
    EXPECT_THAT(outcome.err, HasSubstr("cannot write the final status '/nowhere/f'"));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST(FinalStatusOfADaemon, ThatIsKilledIsNotThere) {
  const TempDir directory;
  const std::string file = directory.path("final.json");
  std::ofstream(file) << "of an earlier one";
  DaemonUnderTest daemon(Arguments{"--final-status", file});
  daemon.signal(SIGKILL);
  daemon.wait();
  EXPECT_FALSE(std::filesystem::exists(file));
}

}  // namespace
}  // namespace forkecho::tests
