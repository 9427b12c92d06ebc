#include "client/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/echo_double.h"

namespace forkecho::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome run(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "forkecho");
  CaptureStdout();
  CaptureStderr();
  const int code = run_command_line(static_cast<int>(arguments.size()), arguments.data());
  return {code, GetCapturedStdout(), GetCapturedStderr()};
}

bool is_one_line(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n') == 1 && text.back() == '\n';
}

class Refused : public ::testing::TestWithParam<std::vector<const char*>> {};

TEST_P(Refused, ByOneLineAndCode64) {
  const Outcome outcome = run(GetParam());
  EXPECT_EQ(outcome.code, 64);
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
  EXPECT_EQ(outcome.err.substr(0, 10), "forkecho: ");
}

using Arguments = std::vector<const char*>;
INSTANTIATE_TEST_SUITE_P(
    CommandLine, Refused,
    ::testing::Values(
        Arguments{}, Arguments{"dance"}, Arguments{"load"}, Arguments{"connect"},
        Arguments{"load", "nonsense"}, Arguments{"connect", "nonsense"},
        Arguments{"load", "127.0.0.1:1", "--colour"}, Arguments{"load", "127.0.0.1:1", "-c", "0"},
        Arguments{"load", "127.0.0.1:1", "-c", "many"},
        Arguments{"load", "127.0.0.1:1", "-d", "10"}, Arguments{"load", "127.0.0.1:1", "-d", "0"},
        Arguments{"load", "127.0.0.1:1", "-n", "0"},
        Arguments{"load", "127.0.0.1:1", "-n", "5", "-d", "1s"},
        Arguments{"load", "127.0.0.1:1", "--timeout", "0"},
        Arguments{"load", "127.0.0.1:1", "--workload", "dance"},
        Arguments{"load", "127.0.0.1:1", "-r", "0"}, Arguments{"load", "127.0.0.1:1", "-r", "-5"},
        Arguments{"load", "127.0.0.1:1", "-r", "fast"},
        Arguments{"load", "127.0.0.1:1", "-r", "5x"}, Arguments{"load", "127.0.0.1:1", "-r", "nan"},
        Arguments{"load", "127.0.0.1:1", "--start-at", "noon"},
        Arguments{"load", "127.0.0.1:1", "--start-at", "@1"},
        Arguments{"merge", "/nowhere", "-o", "-", "--wait-for-runs", "0"},
        Arguments{"load", "127.0.0.1:1", "-r", "2e9"},
        Arguments{"load", "127.0.0.1:1", "--arrivals", "regular"},
        Arguments{"load", "127.0.0.1:1", "--depth", "0"},
        Arguments{"load", "127.0.0.1:1", "--slo", "p99<5"},
        Arguments{"load", "127.0.0.1:1", "--slo", "p99<5ms", "--slo", "errors<lots"},
        Arguments{"load", "127.0.0.1:1", "--close", "abort"},
        Arguments{"load", "127.0.0.1:1", "--source", "nonsense"},
        Arguments{"load", "127.0.0.1:1", "--source", "240.0.0.1"},
        Arguments{"load", "127.0.0.1:1", "--pin", "nonsense"},
        Arguments{"load", "127.0.0.1:1", "--pin", "client:1023"},
        Arguments{"load", "127.0.0.1:1", "--pin", "server:0"},
        Arguments{"search", "127.0.0.1:1", "--slo", "p99<5ms", "--pin", "server:0"},
        Arguments{"compare", "--targets", "a=127.0.0.1:1", "--pin", "server:0"},
        Arguments{"load", "127.0.0.1:1", "-s", "64-"},
        Arguments{"load", "127.0.0.1:1", "-s", "64:0"},
        Arguments{"load", "127.0.0.1:1", "--payload", "random"},
        Arguments{"load", "127.0.0.1:1", "--workload", "stream", "-r", "5"},
        Arguments{"load", "127.0.0.1:1", "--workload", "stream", "--depth", "5"},
        Arguments{"load", "127.0.0.1:1", "127.0.0.1:2", "-c", "1"},
        Arguments{"load", "127.0.0.1:1", "nonsense", "-c", "2"},
        Arguments{"load", "127.0.0.1:1", "-s", "0"}, Arguments{"load", "127.0.0.1:1", "--json", ""},
        Arguments{"connect", "127.0.0.1:1", "--every", "1s"},
        Arguments{"connect", "127.0.0.1:1", "--count", "3"},
        Arguments{"connect", "127.0.0.1:1", "--message", "x", "--count", "0"}));

TEST(CommandLine, RefusalNamesTheRemedy) {
  EXPECT_THAT(run({"load", "127.0.0.1:1", "-d", "10"}).err,
              AllOf(HasSubstr("'10' is no duration; write it like 500ms, 30s or 2m"),
                    HasSubstr("forkecho load --help")));
  EXPECT_THAT(run({"load", "127.0.0.1:1", "--workload", "dance"}).err,
              HasSubstr("'dance' is none of: rr, crr, stream"));
  EXPECT_THAT(run({"load", "127.0.0.1:1", "--slo", "p99<5"}).err,
              HasSubstr("'p99<5' is no term; write it like p99<5ms"));
  EXPECT_THAT(run({"load", "127.0.0.1:1", "--source", "240.0.0.1"}).err,
              HasSubstr("--source 240.0.0.1: no address of this machine is in it"));
  EXPECT_THAT(run({"load", "127.0.0.1:1", "--pin", "client:1023"}).err,
              HasSubstr("may not run on processor 1023"));
  EXPECT_THAT(run({"load", "127.0.0.1:1", "--payload", "random"}).err,
              HasSubstr("needs --expect none"));
  EXPECT_THAT(run({"connect", "127.0.0.1:1", "--every", "1s"}).err, HasSubstr("--message TEXT"));
}

TEST(CommandLine, HelpAndVersionAreAnswers) {
  const Outcome version = run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out, std::string("forkecho ") + FORKECHO_VERSION + "\n");
  const Outcome help = run({"load", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out,
              AllOf(HasSubstr("--connections"), HasSubstr("--wait-for"), HasSubstr("--json")));
  EXPECT_THAT(run({"--help"}).out, AllOf(HasSubstr("connect"), HasSubstr("load")));
}

TEST(CommandLine, NothingThereIs69) {
  const testing::UnansweredTarget nobody;
  const std::string target = nobody.text();
  for (const char* command : {"load", "connect"}) {
    const Outcome outcome = run({command, target.c_str()});
    EXPECT_EQ(outcome.code, 69);
    EXPECT_TRUE(is_one_line(outcome.err));
    EXPECT_THAT(outcome.err, HasSubstr("nothing answers at " + target));
  }
}

TEST(CommandLine, LoadPrintsASummaryAndWritesTheJson) {
  const testing::EchoDouble server;
  const std::string file =
      ::testing::TempDir() + "forkecho-run-" + std::to_string(getpid()) + ".json";
  const Outcome outcome = run({"load", server.target().c_str(), "-n", "20", "--warmup", "0",
                               "--json", file.c_str(), "--quiet"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("20 completed"));
  std::ifstream written(file);
  EXPECT_EQ(nlohmann::json::parse(written)["requests"]["completed"], 20);
  std::filesystem::remove(file);
}

TEST(CommandLine, JsonOnStandardOutputIsAlone) {
  const testing::EchoDouble server;
  const Outcome outcome =
      run({"load", server.target().c_str(), "-n", "20", "--warmup", "0", "--json", "-"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["verification"]["checked"], 20);
}

TEST(CommandLine, WrongRepliesAreOne) {
  const testing::EchoDouble server;
  EXPECT_EQ(
      run({"load", server.target().c_str(), "-n", "20", "--warmup", "0", "--expect", "none"}).code,
      1);
}

TEST(CommandLine, MissedSloIsOneAndAllowedErrorsAreNone) {
  const testing::EchoDouble server;
  const auto load = [&](std::vector<const char*> more) {
    std::vector<const char*> arguments{"load", server.target().c_str(), "-n", "20", "--warmup",
                                       "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  EXPECT_EQ(load({"--slo", "max<1h", "--slo", "errors<1%"}).code, 0);
  const Outcome missed = load({"--slo", "p50>1h"});
  EXPECT_EQ(missed.code, 1);
  EXPECT_THAT(missed.out, HasSubstr("slo          p50>1h MISSED"));
}

TEST(CommandLine, SeveralTargetsShareTheConnections) {
  const testing::EchoDouble one;
  const testing::EchoDouble two;
  const Outcome outcome = run(
      // One worker: of two, the first can be done with all requests before the other begins.
      {"load", one.target().c_str(), two.target().c_str(), "-c", "4", "-w", "1", "-n", "400",
       "--warmup", "0"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(one.books().accepted, 2U);
  EXPECT_EQ(two.books().accepted, 2U);
}

TEST(CommandLine, UnwritableFileIsToldBeforeTheRun) {
  const testing::EchoDouble server;
  const Outcome outcome = run({"load", server.target().c_str(), "--json", "/nonexistent/run.json"});
  EXPECT_EQ(outcome.code, 71);
  EXPECT_TRUE(is_one_line(outcome.err));
  EXPECT_THAT(outcome.err, HasSubstr("cannot write /nonexistent/run.json"));
  EXPECT_EQ(server.books().accepted, 0U);
}

TEST(CommandLine, FullDiskIs71) {
  const testing::EchoDouble server;
  const Outcome outcome =
      run({"load", server.target().c_str(), "-n", "20", "--warmup", "0", "--json", "/dev/full"});
  EXPECT_EQ(outcome.code, 71);
  EXPECT_THAT(outcome.err, HasSubstr("cannot write /dev/full: No space left on device"));
}

TEST(CommandLine, ConnectSendsAMessage) {
  const testing::EchoDouble server;
  const Outcome outcome =
      run({"connect", server.target().c_str(), "--message", "hello", "--count", "2"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "HELLO\nHELLO\n");
}

TEST(CommandLine, ConnectTellsAServerThatLeaves) {
  const testing::EchoDouble server({.answer = testing::Answer::then_leave, .request_size = 6});
  const Outcome outcome =
      run({"connect", server.target().c_str(), "--message", "hello", "--every", "1h"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "forkecho: the server at " + server.target() + " ended the connection\n");
}

}  // namespace
}  // namespace forkecho::client
