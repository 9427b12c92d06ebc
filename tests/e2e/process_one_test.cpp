// forkechod as process 1 of a container: here, of a pid namespace of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using testing::HasSubstr;

const std::string unshare = "/usr/bin/unshare";
const std::string nsenter = "/usr/bin/nsenter";
const Arguments new_namespace{"--pid", "--fork", "--mount-proc", "--kill-child"};

Arguments operator+(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

class ProcessOne : public testing::Test {
 protected:
  void SetUp() override {
    if (run_program(unshare, new_namespace + Arguments{"/bin/true"}).exitcode != 0)
      GTEST_SKIP() << "pid namespaces are not permitted here (they need root)";
    container_.emplace(unshare, new_namespace + Arguments{forkechod, "run", "--listen",
                                                          "127.0.0.1:0", "--control", control()});
    ASSERT_TRUE(eventually(patience(), [&] { return call("status", {"--json"}).exitcode == 0; }))
        << container_->err();
    const auto status = nlohmann::json::parse(call("status", {"--json"}).out);
    EXPECT_EQ(status["pid"], 1);
    target_ = status["listen"][0];
    daemon_ = children_of(container_->pid()).at(0);
  }
  std::string control() const { return directory_.path("d.sock"); }
  Outcome call(const std::string& verb, const Arguments& more = {}) {
    return run_program(forkechod, Arguments{verb, "--control", control()} + more);
  }

  TempDir directory_;
  std::optional<Program> container_;
  std::string target_;
  pid_t daemon_ = 0;  // as seen from outside
};

TEST_F(ProcessOne, ServesAndHearsSignalsThatHaveNoDefaultActionThere) {
  EXPECT_EQ(TestClient(target_).ask("inside").data, "INSIDE");
  TestClient held(target_);
  ASSERT_EQ(held.ask("a").data, "A");
  // Those that it has no use for do not end it, either.
  for (const int number : {SIGHUP, SIGUSR1, SIGTTIN, SIGTTOU, SIGPIPE}) kill(daemon_, number);
  EXPECT_EQ(held.ask("b").data, "B");
  kill(daemon_, SIGTERM);
  EXPECT_TRUE(eventually(patience(), [&] {
    return nlohmann::json::parse(call("status", {"--json"}).out)["state"] == "draining";
  }));
  EXPECT_EQ(held.ask("c").data, "C");
  held.close();
  EXPECT_EQ(container_->wait(), 0) << container_->err();
}

TEST_F(ProcessOne, AnInterruptEndsItToo) {
  kill(daemon_, SIGINT);
  EXPECT_EQ(container_->wait(), 0) << container_->err();
}

TEST_F(ProcessOne, ReapsStrangers) {
  const auto at_rest = children_of(daemon_);
  const Outcome made = run_program(
      nsenter, {"--target", std::to_string(daemon_), "--pid", "/bin/sh", "-c",
                "for i in 1 2 3 4 5; do (sleep 0.05 &) ; done; (sleep 100 & echo $!) ; exit 0"});
  ASSERT_EQ(made.exitcode, 0) << made.err;
  EXPECT_TRUE(eventually(patience(), [&] { return children_of(daemon_).size() > at_rest.size(); }))
      << "nobody was left to it";
  EXPECT_TRUE(eventually(patience(), [&] {
    return children_of(daemon_).size() == at_rest.size() + 1;  // the one that sleeps on
  }));
  EXPECT_EQ(TestClient(target_).ask("still").data, "STILL");
  EXPECT_EQ(call("stop").exitcode, 0);
  EXPECT_EQ(container_->wait(), 0);
}

TEST_F(ProcessOne, RefusesAnUpgrade) {
  const Outcome upgraded = call("upgrade");
  EXPECT_EQ(upgraded.exitcode, 71);
  EXPECT_TRUE(is_one_line(upgraded.err)) << upgraded.err;
  EXPECT_THAT(upgraded.err, HasSubstr("process 1 of a container cannot be replaced"));
  kill(daemon_, SIGUSR2);
  EXPECT_TRUE(eventually(patience(), [&] {
    const std::string log = container_->err();
    return log.find("no upgrade") != log.rfind("no upgrade");
  }));
  EXPECT_EQ(TestClient(target_).ask("still").data, "STILL");
}

}  // namespace
}  // namespace forkecho::tests
