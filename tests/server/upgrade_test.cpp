#include "server/upgrade.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>

#include "server/successor.h"
#include "tests/support/child.h"
#include "tests/support/processes.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using Kind = SuccessorReport::Kind;
using testing::ElementsAre;
using testing::HasSubstr;

SuccessorReport ready(std::vector<int> taken) {
  return {.kind = Kind::ready, .taken = std::move(taken), .code = ExitCode::ok, .line = {}};
}
SuccessorReport error(ExitCode code, std::string line) {
  return {.kind = Kind::error, .taken = {}, .code = code, .line = std::move(line)};
}
SuccessorReport done() {
  return {.kind = Kind::done, .taken = {}, .code = ExitCode::ok, .line = {}};
}

TEST(SuccessorReport, ComesOutOfItsMessageAsItWent) {
  for (const SuccessorReport& report :
       {ready({5, 7, 11}), ready({}), error(ExitCode::usage, "no such option"),
        error(ExitCode::config, ""), done()}) {
    EXPECT_EQ(decode_report(encode(report)), report) << encode(report);
  }
}

TEST(SuccessorReport, OfAnotherFormIsNotUnderstood) {
  for (const char* bad : {"", "hello", "ready x", "ready 5 -1", "ready 5  6", "error", "error x y",
                          "done now", "yours"}) {
    EXPECT_FALSE(decode_report(bad)) << bad;
  }
}

TEST(SuccessorReport, StaysWithinTheLongestMessage) {
  EXPECT_EQ(encode(error(ExitCode::bug, std::string(2 * longest_message, 'x'))).size(),
            longest_message);
}

/// An upgrade whose new program is a shell script; what came of it, in words.
class ScriptedUpgrade : public testing::Test {
 protected:
  void start(const std::string& script, sys::Duration timeout = 20s, mode_t mode = 0755) {
    const std::string program = directory_.path("program");
    std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
    chmod(program.c_str(), mode);
    invocation_ = {.program = program, .arguments = {"program", "an argument"}};
    upgrade_ = std::make_shared<Upgrade>(
        context_, timeout,
        Upgrade::Events{.is_ready =
                            [this](const std::vector<int>& taken) {
                              heard_ += "ready" + testing::PrintToString(taken) + " ";
                              if (takes_over_) upgrade_->take_over();
                            },
                        .replaced = [this] { heard_ += "replaced"; },
                        .failed = [this](const std::string& why) { heard_ += "failed: " + why; }});
    upgrade_->start(invocation_, handover());
  }
  /// Runs until it is over.
  std::string outcome() {
    context_.run_for(20s);
    return heard_;
  }
  Handover handover() {
    if (!pipe_) pipe_.emplace();
    return {.channel = -1,
            .pidfile = pipe_->read.get(),
            .control = pipe_->write.get(),
            .predecessors = {pipe_->read.get()},
            .listeners = {}};
  }
  bool is_gone() const { return tests::state_of(upgrade_->pid()) == '-'; }

  tests::TempDir directory_;
  asio::io_context context_{1};
  std::optional<tests::Pipe> pipe_;
  Invocation invocation_;
  std::shared_ptr<Upgrade> upgrade_;
  std::string heard_;
  bool takes_over_ = true;
};

/// What the scripts speak to the channel with: a message for each write.
const std::string speak =
    "fd=$(echo $FORKECHOD_HANDOVER | sed 's/.*channel=\\([0-9]*\\).*/\\1/'); ";

TEST_F(ScriptedUpgrade, GoesThroughItsSteps) {
  start(speak +
        "eval \"printf 'ready 5 6' >&$fd\"; "
        "eval \"head -c 5 <&$fd\" >/dev/null; eval \"printf done >&$fd\"");
  EXPECT_EQ(outcome(), "ready{ 5, 6 } replaced");
}

TEST_F(ScriptedUpgrade, ItsErrorIsPassedOn) {
  start(speak + "eval \"printf 'error 64 no such option' >&$fd\"; sleep 100");
  EXPECT_EQ(outcome(), "failed: the new program did not start: no such option");
  EXPECT_TRUE(is_gone());
}

TEST_F(ScriptedUpgrade, ItsEndIsTold) {
  start("exit 3");
  EXPECT_EQ(outcome(), "failed: the new program ended with exit code 3 before it was ready");
}

TEST_F(ScriptedUpgrade, ItsDeathIsTold) {
  start("kill -9 $$");
  EXPECT_EQ(outcome(), "failed: the new program was ended by signal 9 before it was ready");
}

TEST_F(ScriptedUpgrade, AProgramThatCannotBeExecutedIsTold) {
  start("exit 0", 20s, 0644);
  EXPECT_THAT(outcome(), HasSubstr("failed: the new program did not start: cannot execute '" +
                                   directory_.path("program") + "': Permission denied"));
}

TEST_F(ScriptedUpgrade, OneThatHangsIsEnded) {
  start("exec sleep 100", 200ms);
  EXPECT_EQ(outcome(), "failed: the new program was not ready within 200ms");
  EXPECT_TRUE(is_gone());
}

TEST_F(ScriptedUpgrade, OneThatHangsAfterItWasReadyIsEnded) {
  start(speak + "eval \"printf ready >&$fd\"; exec sleep 100", 500ms);
  EXPECT_EQ(outcome(), "ready{} failed: the new program was not ready within 500ms");
  EXPECT_TRUE(is_gone());
}

TEST_F(ScriptedUpgrade, OneThatClosesTheChannelIsEnded) {
  start(speak + "eval \"exec $fd>&-\"; exec sleep 100");
  EXPECT_EQ(outcome(), "failed: the new program closed its report before it was ready");
  EXPECT_TRUE(is_gone());
}

TEST_F(ScriptedUpgrade, OneThatDiesInTheMomentOfTakingOverHasNotTakenOver) {
  start(speak + "eval \"printf ready >&$fd\"; eval \"head -c 5 <&$fd\" >/dev/null; kill -9 $$");
  EXPECT_EQ(outcome(), "ready{} failed: the new program ended in the moment of taking over");
}

TEST_F(ScriptedUpgrade, NonsenseIsNoReport) {
  start(speak + "eval \"printf nonsense >&$fd\"; exec sleep 100");
  EXPECT_THAT(outcome(), HasSubstr("failed: the new program said something"));
  EXPECT_TRUE(is_gone());
}

TEST_F(ScriptedUpgrade, CanBeGivenUp) {
  start("exec sleep 100");
  upgrade_->give_up("is not wanted");
  EXPECT_EQ(outcome(), "failed: the new program is not wanted");
  EXPECT_TRUE(is_gone());
}

TEST_F(ScriptedUpgrade, TheProgramGetsItsArgumentsAndItsDescriptors) {
  const std::string out = directory_.path("out");
  start("{ echo \"$@\"; echo $FORKECHOD_HANDOVER; ls -l /proc/self/fd; } >" + out);
  EXPECT_THAT(outcome(), HasSubstr("exit code 0"));
  const std::string said = tests::content_of(out);
  EXPECT_THAT(said, HasSubstr("an argument\n"));
  for (const int fd : {handover().pidfile, handover().control})
    EXPECT_THAT(said, HasSubstr(" " + std::to_string(fd) + " -> pipe:")) << said;
}

TEST(Predecessors, AreThoseThatLive) {
  tests::Gate gate;
  const pid_t pid = tests::start_child([&] { return gate.pass() ? 0 : 1; });
  std::vector<sys::Descriptor> pidfds;
  pidfds.push_back(mp::open_sentinel(pid));
  Predecessors predecessors(std::move(pidfds));
  EXPECT_THAT(predecessors.alive(), ElementsAre(pid));
  EXPECT_EQ(predecessors.descriptors().size(), 1U);
  predecessors.tell(SIGTERM);
  EXPECT_EQ(tests::exitcode_of(pid), -SIGTERM);
  EXPECT_THAT(predecessors.alive(), ElementsAre());
  EXPECT_TRUE(predecessors.descriptors().empty());
  EXPECT_NO_THROW(predecessors.tell(SIGTERM));
}

}  // namespace
}  // namespace forkecho::server
