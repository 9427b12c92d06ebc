// --config and `forkechod check` as a user meets them.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/daemon_under_test.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

class Config : public testing::Test {
 protected:
  std::string file_with(const std::string& text) const {
    std::ofstream(path()) << text;
    return path();
  }
  std::string path() const { return directory_.path("forkechod.conf"); }
  Outcome check(const std::string& text, Arguments arguments = {}) const {
    arguments.insert(arguments.begin(), {"check", "--config", file_with(text)});
    return run_program(forkechod, arguments);
  }
  TempDir directory_;
};

void expect_refusal(const Outcome& outcome, int exitcode, const std::string& telling) {
  EXPECT_EQ(outcome.exitcode, exitcode);
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
  EXPECT_NE(outcome.err.find(telling), std::string::npos) << outcome.err;
}

TEST_F(Config, CheckSaysWhetherItCanBeUsed) {
  const Outcome good = check("mode = pool\nlisten = [\"127.0.0.1:0\", \"[::1]:0\"]\n");
  EXPECT_EQ(good.exitcode, 0) << good.err;
  EXPECT_TRUE(is_one_line(good.out)) << good.out;
  EXPECT_EQ(good.err, "");
  EXPECT_EQ(run_program(forkechod, {"check"}).exitcode, 0);
  expect_refusal(check("mdoe = pool\n"), 78, ":1: unknown option 'mdoe'; did you mean 'mode'?");
  expect_refusal(check("pool-max = 2\npool-start = 3\n"), 78, "--pool-start");
  expect_refusal(check("slots = 1\nlisten = \"no-such-host.invalid:1\"\n"), 78,
                 "no-such-host.invalid");
  expect_refusal(check("listen = [\"127.0.0.1:7001\", \"127.0.0.1:7001\"]\n", {}), 78, "twice");
  expect_refusal(check("", {"--listen", "no-such-host.invalid:1"}), 64, "no-such-host.invalid");
  expect_refusal(check("", {"--mode", "thread"}), 64, "thread");
  expect_refusal(run_program(forkechod, {"check", "--config", directory_.path("none")}), 78,
                 "none");
}

TEST_F(Config, ADaemonRunsByItAndOtherVerbsFindItByIt) {
  const std::string control = directory_.path("by-file.sock");
  DaemonUnderTest daemon({.arguments = {"--config", file_with("mode = pool\ntransform = none\n"
                                                              "control = " +
                                                              control + "\n")},
                          .listen = {"127.0.0.1:0"},
                          .control = control,
                          .program = {}});
  EXPECT_EQ(daemon.status()["mode"], "pool");
  EXPECT_EQ(TestClient(daemon.target()).ask("as it is").data, "as it is");
  EXPECT_EQ(run_program(forkechod, {"status", "--config", path()}).exitcode, 0);
  EXPECT_EQ(run_program(forkechod, {"reload", "--config", path()}).exitcode, 0);
  EXPECT_EQ(run_program(forkechod, {"stop", "--config", path()}).exitcode, 0);
  EXPECT_EQ(daemon.wait(), 0);
}

TEST_F(Config, StartAndRunRefuseABadOne) {
  for (const char* verb : {"run", "start"}) {
    for (const char* bad : {"mode = thread\n", "listen = nonsense\n", "no-such-thing = 1\n"}) {
      SCOPED_TRACE(bad);
      expect_refusal(run_program(forkechod, {verb, "--control", directory_.path("d.sock"),
                                             "--config", file_with(bad)}),
                     78, path() + ":1: ");
    }
  }
}

}  // namespace
}  // namespace forkecho::tests
