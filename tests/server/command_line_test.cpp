#include "server/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "common/mp/cpu_count.h"
#include "server/listener.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "forkechod");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

Options options_of(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "run");
  const Parsed parsed = parse(arguments);
  EXPECT_TRUE(parsed.command) << parsed.text;
  return parsed.command ? parsed.command->options : Options{};
}

TEST(CommandLine, Verbs) {
  EXPECT_EQ(parse({"run"}).command->verb, Verb::run);
  EXPECT_EQ(parse({"start"}).command->verb, Verb::start);
  EXPECT_EQ(parse({"stop"}).command->verb, Verb::stop);
  EXPECT_EQ(parse({"upgrade"}).command->verb, Verb::upgrade);
  EXPECT_EQ(parse({"status"}).command->verb, Verb::status);
  EXPECT_EQ(parse({"check"}).command->verb, Verb::check);
  EXPECT_EQ(parse({"reload"}).command->verb, Verb::reload);
  EXPECT_EQ(parse({"reopen-logs"}).command->verb, Verb::reopen_logs);
}

TEST(CommandLine, TheDefaultsAreThoseOfTheContract) {
  const Options options = options_of({});
  EXPECT_EQ(options.listen, std::vector<std::string>{"127.0.0.1:9001"});
  EXPECT_EQ(options.mode, Mode::fork);
  EXPECT_EQ(options.backlog, 4096);
  EXPECT_EQ(options.acceptors, default_acceptors(mp::cpu_count()));
  EXPECT_EQ(options.max_connections, 10000U);
  EXPECT_EQ(options.when_full, WhenFull::wait);
  EXPECT_EQ(options.timeouts.first_byte, 0s);
  EXPECT_EQ(options.timeouts.idle, 0s);
  EXPECT_EQ(options.timeouts.write, 30s);
  EXPECT_EQ(options.timeouts.lifetime, 0s);
  EXPECT_EQ(options.timeouts.drain, 30s);
  EXPECT_EQ(options.transform, Transform::unicode);
  EXPECT_EQ(options.connections_per_worker_life, 0U);
  EXPECT_EQ(options.status_slots, 1000U);
  EXPECT_EQ(options.upgrade_timeout, 30s);
  EXPECT_EQ(options.control, default_control_path());
  EXPECT_EQ(options.pidfile, beside_control(default_control_path(), ".pid"));
  EXPECT_EQ(options.log.file, "");
  EXPECT_EQ(options.metrics, "");
  EXPECT_EQ(options.access_log, "");
  EXPECT_EQ(options.confinement.sandbox, Sandbox::on);
  EXPECT_EQ(options.confinement.user, "");
}

TEST(CommandLine, ConfinementIsReadAndChecked) {
  EXPECT_EQ(options_of({"--sandbox", "strict"}).confinement.sandbox, Sandbox::strict);
  EXPECT_EQ(options_of({"--sandbox", "off"}).confinement.sandbox, Sandbox::off);
  EXPECT_THAT(parse({"run", "--sandbox", "tight"}).text, HasSubstr("on, strict, off"));
  if (geteuid() != 0) {
    EXPECT_THAT(parse({"run", "--user", "nobody"}).text, HasSubstr("--user needs root"));
    return;
  }
  const Options options = options_of({"--user", "a", "--group", "7", "--chroot", "/b"});
  EXPECT_EQ(options.confinement.user, "a");
  EXPECT_EQ(options.confinement.group, "7");
  EXPECT_EQ(options.confinement.chroot, "/b");
}

TEST(CommandLine, EachOptionSetsItsOwn) {
  EXPECT_EQ(options_of({"--listen", "[::1]:7", "--listen", "unix:/x"}).listen,
            (std::vector<std::string>{"[::1]:7", "unix:/x"}));
  EXPECT_EQ(options_of({"--mode", "event"}).mode, Mode::event);
  EXPECT_EQ(options_of({"--backlog", "7"}).backlog, 7);
  EXPECT_EQ(options_of({"--acceptors", "3"}).acceptors, 3U);
  EXPECT_EQ(options_of({"--acceptors", "64"}).acceptors, max_acceptors);
  EXPECT_EQ(options_of({"--mode", "pool", "--acceptors", "1"}).acceptors, 1U);
  EXPECT_EQ(options_of({"--pool-start", "6"}).pool.start, 6U);
  EXPECT_EQ(options_of({"--pool-min-spare", "2"}).pool.min_spare, 2U);
  EXPECT_EQ(options_of({"--pool-max-spare", "200"}).pool.max_spare, 200U);
  EXPECT_EQ(options_of({"--pool-max", "500"}).pool.max, 500U);
  EXPECT_EQ(options_of({"--mode", "pool", "--accept", "lock"}).accept, Accept::lock);
  const auto lives =
      options_of({"--mode", "pool", "--connections-per-worker-life", "30", "--life-jitter", "4"});
  EXPECT_EQ(lives.connections_per_worker_life, 30U);
  EXPECT_EQ(lives.life_jitter, 4U);
  EXPECT_EQ(options_of({"--max-connections", "77"}).max_connections, 77U);
  EXPECT_EQ(options_of({"--when-full", "refuse"}).when_full, WhenFull::refuse);
  EXPECT_EQ(options_of({"--first-byte-timeout", "500ms"}).timeouts.first_byte, 500ms);
  EXPECT_EQ(options_of({"--idle-timeout", "2m"}).timeouts.idle, 2min);
  EXPECT_EQ(options_of({"--write-timeout", "0"}).timeouts.write, 0s);
  EXPECT_EQ(options_of({"--max-lifetime", "1h"}).timeouts.lifetime, 1h);
  EXPECT_EQ(options_of({"--drain-timeout", "5s"}).timeouts.drain, 5s);
  EXPECT_EQ(options_of({"--transform", "none"}).transform, Transform::none);
  EXPECT_EQ(options_of({"--control", "/c.sock"}).control, "/c.sock");
  EXPECT_EQ(options_of({"--control", "/c.sock"}).pidfile, "/c.pid");
  EXPECT_EQ(options_of({"--control", "/c.sock", "--pidfile", "/p"}).pidfile, "/p");
  EXPECT_EQ(options_of({"--metrics", "127.0.0.1:9100"}).metrics, "127.0.0.1:9100");
  EXPECT_EQ(options_of({"--access-log", "/a"}).access_log, "/a");
  EXPECT_EQ(options_of({"--final-status", "/f"}).final_status, "/f");
  EXPECT_EQ(options_of({}).final_status, "");
  EXPECT_EQ(options_of({"--slots", "5"}).status_slots, 5U);
  EXPECT_EQ(options_of({"--upgrade-timeout", "5s"}).upgrade_timeout, 5s);
  EXPECT_EQ(options_of({"--log-level", "error"}).log.level, log::Level::error);
  EXPECT_EQ(options_of({"--log-format", "json"}).log.format, log::Format::json);
  EXPECT_EQ(options_of({"--log-file", "/l"}).log.file, "/l");
}

TEST(CommandLine, ADaemonLogsBesideItsControlSocketUnlessToldWhere) {
  EXPECT_EQ(parse({"start", "--control", "/c.sock"}).command->options.log.file, "/c.log");
  EXPECT_EQ(parse({"start", "--log-file", "/l"}).command->options.log.file, "/l");
}

TEST(CommandLine, StopAndStatusHaveOptionsOfTheirOwn) {
  EXPECT_FALSE(parse({"stop"}).command->now);
  EXPECT_EQ(parse({"stop"}).command->timeout, 0s);
  EXPECT_TRUE(parse({"stop", "--now"}).command->now);
  EXPECT_EQ(parse({"stop", "--timeout", "3s"}).command->timeout, 3s);
  EXPECT_EQ(parse({"stop", "--control", "/c"}).command->control, "/c");
  EXPECT_FALSE(parse({"status"}).command->json);
  EXPECT_TRUE(parse({"status", "--json"}).command->json);
  EXPECT_FALSE(parse({"status"}).command->watch);
  EXPECT_TRUE(parse({"status", "--watch"}).command->watch);
  EXPECT_EQ(parse({"status", "--watch"}).command->every, std::chrono::seconds(1));
  EXPECT_EQ(parse({"status", "--watch", "--every", "250ms"}).command->every,
            std::chrono::milliseconds(250));
  EXPECT_EQ(parse({"status", "--control", "/c"}).command->control, "/c");
}

TEST(CommandLine, HelpAndVersionAreNoErrors) {
  for (const auto& arguments : {std::vector{"--help"}, {"run", "--help"}, {"stop", "--help"}}) {
    const Parsed parsed = parse(arguments);
    EXPECT_FALSE(parsed.command);
    EXPECT_EQ(parsed.code, ExitCode::ok);
    EXPECT_THAT(parsed.text, HasSubstr("Usage"));
  }
  EXPECT_THAT(parse({"run", "--help"}).text, HasSubstr("--drain-timeout"));
  EXPECT_EQ(parse({"--version"}).text, "forkechod " FORKECHO_VERSION "\n");
  EXPECT_EQ(parse({"--version"}).code, ExitCode::ok);
}

/// Every way to get it wrong is one line that names what is wrong, and exit code 64.
TEST(CommandLine, BadArgumentsAreAnsweredWithOneLine) {
  struct Case {
    std::vector<const char*> arguments;
    const char* named;
  };
  for (const Case& c : std::vector<Case>{
           {{}, "subcommand"},
           {{"walk"}, "walk"},
           {{"run", "--nonsense"}, "--nonsense"},
           {{"run", "nonsense"}, "nonsense"},
           {{"run", "stop"}, ""},
           {{"run", "--mode", "thread"}, "'thread' is not one of iterative, fork, pool, event"},
           {{"run", "--mode"}, "--mode"},
           {{"run", "--mode", "fork\nx"}, "fork x"},
           {{"run", "--transform", "lower"}, "'lower'"},
           {{"run", "--when-full", "panic"}, "'panic'"},
           {{"run", "--backlog", "0"}, "--backlog"},
           {{"run", "--backlog", "many"}, "--backlog"},
           {{"run", "--backlog", "2000000"}, "--backlog"},
           {{"run", "--max-connections", "0"}, "--max-connections"},
           {{"run", "--max-connections", "-1"}, "--max-connections"},
           {{"run", "--max-connections", "5000000"}, "--max-connections"},
           {{"run", "--max-connections", "1.5"}, "--max-connections"},
           {{"run", "--pool-start", "x"}, "--pool-start"},
           {{"run", "--pool-start", "-1"}, "--pool-start"},
           {{"run", "--pool-min-spare", "0"}, "--pool-min-spare"},
           {{"run", "--pool-min-spare", "5", "--pool-max-spare", "4"}, "--pool-min-spare"},
           {{"run", "--pool-min-spare", "5", "--pool-max-spare", "9", "--pool-max", "4",
             "--pool-start", "1"},
            "--pool-min-spare"},
           {{"run", "--pool-max", "4", "--pool-start", "5"}, "--pool-start"},
           {{"run", "--pool-max", "0"}, "--pool-max"},
           {{"run", "--connections-per-worker-life", "-1"}, "--connections-per-worker-life"},
           {{"run", "--life-jitter", "-1"}, "--life-jitter"},
           {{"run", "--mode", "pool", "--life-jitter", "1"}, "--life-jitter"},
           {{"run", "--mode", "fork", "--connections-per-worker-life", "5"},
            "--connections-per-worker-life concerns --mode pool and iterative only"},
           {{"run", "--acceptors", "0"}, "--acceptors"},
           {{"run", "--acceptors", "65"}, "--acceptors"},
           {{"run", "--acceptors", "-1"}, "--acceptors"},
           {{"run", "--acceptors", "two"}, "--acceptors"},
           {{"run", "--mode", "pool", "--acceptors", "2"},
            "--acceptors 2 concerns --mode fork only"},
           {{"run", "--accept", "turns"}, "'turns' is not one of shared, lock, passing, reuseport"},
           {{"run", "--accept", "lock"}, "--accept lock concerns --mode pool only"},
           {{"run", "--mode", "event", "--accept", "reuseport"},
            "--accept reuseport concerns --mode pool only"},
           {{"run", "--mode", "pool", "--accept", "passing", "--connections-per-worker-life", "1"},
            "is for --accept shared"},
           {{"run", "--mode", "pool", "--accept", "reuseport", "--pool-start", "4", "--pool-max",
             "8"},
            "give --pool-start alone"},
           {{"run", "--mode", "pool", "--accept", "reuseport", "--pool-start", "0"},
            "--pool-start 0"},
           {{"run", "--mode", "pool", "--accept", "reuseport", "--pool-start", "4",
             "--max-connections", "3"},
            "--max-connections"},
           {{"run", "--mode", "pool", "--accept", "reuseport", "--when-full", "refuse"},
            "--when-full refuse"},
           {{"run", "--mode", "pool", "--accept", "reuseport", "--listen", "unix:/x"},
            "--accept reuseport is for TCP"},
           {{"run", "--slots", "-1"}, "--slots"},
           {{"run", "--idle-timeout", "5"}, "'5' is not a duration"},
           {{"run", "--idle-timeout", "-5s"}, "'-5s'"},
           {{"run", "--first-byte-timeout", "soon"}, "'soon'"},
           {{"run", "--write-timeout", "5 s"}, "'5 s'"},
           {{"run", "--max-lifetime", ""}, "--max-lifetime"},
           {{"run", "--drain-timeout", "1y"}, "'1y'"},
           {{"run", "--log-level", "loud"}, "'loud'"},
           {{"run", "--log-format", "xml"}, "'xml'"},
           {{"stop", "--timeout", "x"}, "'x'"},
           {{"stop", "--mode", "fork"}, "--mode"},
           {{"status", "--now"}, "--now"},
           {{"status", "--every", "1s"}, "--watch"},
           {{"status", "--watch", "--every", "0"}, "--every"},
           {{"status", "--watch", "--every", "soon"}, "--every"},
       }) {
    const Parsed parsed = parse(c.arguments);
    SCOPED_TRACE(parsed.text);
    EXPECT_FALSE(parsed.command) << c.named;
    EXPECT_EQ(parsed.code, ExitCode::usage);
    EXPECT_THAT(parsed.text, StartsWith("forkechod: "));
    EXPECT_THAT(parsed.text, HasSubstr(c.named));
    EXPECT_EQ(std::count(parsed.text.begin(), parsed.text.end(), '\n'), 1);
    EXPECT_TRUE(parsed.text.ends_with('\n'));
  }
}

TEST(CommandLine, OneSizeOfThePoolAloneIsNoContradictionToTheDefaults) {
  for (const auto& arguments : {std::vector{"run", "--pool-max", "1"},
                                {"run", "--pool-min-spare", "100000"},
                                {"run", "--pool-start", "100000"},
                                {"run", "--pool-max-spare", "1"}}) {
    const Parsed parsed = parse(arguments);
    ASSERT_TRUE(parsed.command) << parsed.text;
  }
  EXPECT_EQ(options_of({"--pool-max", "1"}).pool.max, 1U);
  EXPECT_EQ(options_of({"--pool-min-spare", "100000"}).pool.min_spare, 100000U);
  EXPECT_EQ(options_of({"--pool-max-spare", "1"}).pool.max_spare, 1U);
}

TEST(CommandLine, WhoIsLetIn) {
  const AdmissionOptions off = options_of({}).admission;
  EXPECT_EQ(off.max_per_source, 0U);
  EXPECT_EQ(off.accept_rate, 0U);
  EXPECT_TRUE(off.exempt.empty());
  EXPECT_EQ(options_of({"--max-per-source", "9"}).admission.max_per_source, 9U);
  EXPECT_EQ(options_of({"--accept-rate", "200"}).admission.accept_rate, 200U);
  EXPECT_EQ(options_of({"--accept-rate", "200"}).admission.burst(), 20U);
  EXPECT_EQ(options_of({"--accept-rate", "2"}).admission.burst(), 1U);
  EXPECT_EQ(options_of({"--accept-rate", "2", "--accept-burst", "7"}).admission.burst(), 7U);
  const auto exempt =
      options_of({"--max-per-source", "1", "--exempt", "10.0.0.0/8", "--exempt", "::1"})
          .admission.exempt;
  EXPECT_EQ(exempt, (std::vector{parse_cidr("10.0.0.0/8").cidr, parse_cidr("::1").cidr}));
  EXPECT_EQ(options_of({}).timeouts.stress, 0s);
  EXPECT_EQ(options_of({"--stress-timeout", "10s"}).timeouts.stress, 10s);
}

TEST(CommandLine, WhoIsLetInWrongly) {
  for (const auto& arguments : {std::vector{"run", "--max-per-source", "-1"},
                                {"run", "--max-per-source", "x"},
                                {"run", "--accept-rate", "1000001"},
                                {"run", "--accept-rate", "5", "--accept-burst", "0"},
                                {"run", "--accept-burst", "5"},
                                {"run", "--exempt", "10.0.0.0/8"},
                                {"run", "--max-per-source", "1", "--exempt", "10.0.0.0/33"},
                                {"run", "--max-per-source", "1", "--exempt", "10.0.0.1/8"},
                                {"run", "--stress-timeout", "soon"}}) {
    const Parsed parsed = parse(arguments);
    EXPECT_FALSE(parsed.command) << arguments.back();
    EXPECT_EQ(parsed.code, ExitCode::usage);
    EXPECT_THAT(parsed.text, StartsWith("forkechod: "));
    EXPECT_EQ(std::count(parsed.text.begin(), parsed.text.end(), '\n'), 1);
  }
  EXPECT_THAT(parse({"run", "--max-per-source", "1", "--exempt", "10.0.0.1/8"}).text,
              HasSubstr("10.0.0.0/8"));
}

/// A queue without a worker would keep its clients for ever: as many workers as queues, always.
TEST(CommandLine, APoolWithAQueueForEachWorkerHasAFixedSize) {
  const PoolSizes pool =
      options_of({"--mode", "pool", "--accept", "reuseport", "--pool-start", "7"}).pool;
  EXPECT_EQ(pool.start, 7U);
  EXPECT_EQ(pool.min_spare, 7U);
  EXPECT_EQ(pool.max_spare, 7U);
  EXPECT_EQ(pool.max, 7U);
  const PoolSizes defaults = options_of({"--mode", "pool", "--accept", "reuseport"}).pool;
  EXPECT_EQ(defaults.max, defaults.start);
}

// --- The configuration file

class ConfigurationFile : public testing::Test {
 protected:
  std::string file_with(const std::string& text) const {
    std::ofstream(path_) << text;
    return path_;
  }
  Parsed parse_with(const std::string& text, std::vector<std::string> arguments = {},
                    const std::string& verb = "run") const {
    arguments.insert(arguments.begin(), {"forkechod", verb, "--config", file_with(text)});
    return parse_command_line(arguments);
  }
  Options options_with(const std::string& text, std::vector<std::string> arguments = {}) const {
    const Parsed parsed = parse_with(text, std::move(arguments));
    EXPECT_TRUE(parsed.command) << parsed.text;
    return parsed.command ? parsed.command->options : Options{};
  }

  tests::TempDir directory_;
  const std::string path_ = directory_.path("forkechod.conf");
};

TEST_F(ConfigurationFile, HasTheNamesOfTheOptions) {
  const Options options = options_with(
      "mode = pool\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\nlisten = unix:/x\n"
      "idle-timeout = 2m\nmax-connections = 5\nlog-level = debug\ncontrol = /c.sock\n"
      "pool-max = 3\n");
  EXPECT_EQ(options.mode, Mode::pool);
  EXPECT_EQ(options.listen, (std::vector<std::string>{"127.0.0.1:1", "[::1]:2", "unix:/x"}));
  EXPECT_EQ(options.timeouts.idle, 2min);
  EXPECT_EQ(options.max_connections, 5U);
  EXPECT_EQ(options.log.level, log::Level::debug);
  EXPECT_EQ(options.control, "/c.sock");
  EXPECT_EQ(options.pidfile, "/c.pid");
  EXPECT_EQ(options.pool.max, 3U);
  EXPECT_LE(options.pool.start, 3U) << "sizes that nobody gave follow those that the file gave";
}

TEST_F(ConfigurationFile, TheCommandLineWins) {
  const std::string text = "mode = pool\nlisten = 127.0.0.1:1\nslots = 5\n";
  const Options options = options_with(text, {"--mode", "event", "--listen", "127.0.0.1:2"});
  EXPECT_EQ(options.mode, Mode::event);
  EXPECT_EQ(options.listen, std::vector<std::string>{"127.0.0.1:2"});
  EXPECT_EQ(options.status_slots, 5U);
  const Parsed parsed = parse_with(text, {"--mode", "event"});
  EXPECT_EQ(parsed.command->from_config, (std::vector<std::string>{"listen", "slots"}));
  EXPECT_EQ(parsed.command->config, path_);
}

TEST_F(ConfigurationFile, CanBeReadAgain) {
  const Parsed first = parse_with("slots = 5\n", {"--mode", "event"});
  file_with("slots = 6\n");
  const Parsed second = parse_command_line(first.command->arguments);
  ASSERT_TRUE(second.command) << second.text;
  EXPECT_EQ(second.command->options.status_slots, 6U);
  EXPECT_EQ(second.command->options.mode, Mode::event);
}

TEST_F(ConfigurationFile, OtherVerbsTakeTheControlSocketFromIt) {
  const std::string text = "mode = pool\ncontrol = /c.sock\nno-such-thing = 1\n";
  for (const char* verb : {"stop", "status", "reload", "reopen-logs"}) {
    const Parsed parsed = parse_with(text, {}, verb);
    ASSERT_TRUE(parsed.command) << parsed.text;
    EXPECT_EQ(parsed.command->control, "/c.sock");
  }
  EXPECT_EQ(parse_with(text, {"--control", "/d"}, "stop").command->control, "/d");
}

/// One line that names the file and the line, and exit code 78.
TEST_F(ConfigurationFile, MistakesInItAreToldByLine) {
  struct Case {
    const char* text;
    const char* said;
  };
  for (const Case& c : std::vector<Case>{
           {"mode = fork\nmax-conections = 5\n",
            ":2: unknown option 'max-conections'; did you mean 'max-connections'?"},
           {"colour = red\n", ":1: unknown option 'colour' (see"},
           {"config = /other\n", ":1: unknown option 'config'"},
           {"help = true\n", ":1: unknown option 'help'"},
           {"mode = thread\n", ":1: --mode: 'thread' is not one of"},
           {"mode\n", ":1: --mode"},
           {"mode = []\n", ":1: mode has no value"},
           {"mode = fork\n\nmode = pool\n", ":3: mode is there twice"},
           {"mode = [fork, pool]\n", ":1: --mode"},
           {"backlog = 0\n", ":1: --backlog"},
           {"backlog = many\n", ":1: --backlog"},
           {"acceptors = 0\n", ":1: --acceptors"},
           {"mode = event\nacceptors = 3\n", "--acceptors 3 concerns --mode fork only"},
           {"idle-timeout = \"\"\n", ":1: --idle-timeout"},
           {"idle-timeout = -5s\n", ":1: --idle-timeout: '-5s'"},
           {"listen = nonsense\n", ":1: 'nonsense'"},
           {"slots = 1\nlisten = \"127.0.0.1:99999\"\n", ":2: "},
           {"[run]\nmode = fork\n", ":1: sections"},
           {"pool-max = 4\npool-start = 5\n", ": --pool-start is larger than --pool-max"},
           {"m\x1b"
            "ode = fork\n",
            ":1: unknown option 'm ode'; did you mean 'mode'?"},
       }) {
    const Parsed parsed = parse_with(c.text);
    SCOPED_TRACE(parsed.text);
    EXPECT_FALSE(parsed.command) << c.text;
    EXPECT_EQ(parsed.code, ExitCode::config);
    EXPECT_THAT(parsed.text, HasSubstr(path_));
    EXPECT_THAT(parsed.text, HasSubstr(c.said));
    EXPECT_EQ(std::count(parsed.text.begin(), parsed.text.end(), '\n'), 1);
  }
}

TEST_F(ConfigurationFile, WhatCannotBeReadIsAnErrorOfTheConfiguration) {
  for (const std::string& path :
       {directory_.path("none"), directory_.path(""), std::string("/dev/zero")}) {
    const Parsed parsed = parse_command_line({"forkechod", "run", "--config", path});
    EXPECT_EQ(parsed.code, ExitCode::config);
    EXPECT_THAT(parsed.text, HasSubstr(path));
    EXPECT_EQ(std::count(parsed.text.begin(), parsed.text.end(), '\n'), 1) << parsed.text;
  }
}

TEST_F(ConfigurationFile, MistakesOnTheCommandLineStayThose) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--mode", "thread"}, {"--pool-max", "4", "--pool-start", "5"}, {"--nonsense"}}) {
    EXPECT_EQ(parse_with("slots = 5\n", arguments).code, ExitCode::usage) << arguments[0];
  }
  // Right by itself, and so is the file.
  EXPECT_EQ(parse_with("pool-start = 5\n", {"--pool-max", "4"}).code, ExitCode::config);
}

}  // namespace
}  // namespace forkecho::server
