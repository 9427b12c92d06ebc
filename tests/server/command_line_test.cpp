#include "server/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "server/listener.h"

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
  EXPECT_EQ(parse({"status"}).command->verb, Verb::status);
}

TEST(CommandLine, TheDefaultsAreThoseOfTheContract) {
  const Options options = options_of({});
  EXPECT_EQ(options.listen, std::vector<std::string>{"127.0.0.1:9001"});
  EXPECT_EQ(options.mode, Mode::fork);
  EXPECT_EQ(options.backlog, 4096);
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
  EXPECT_EQ(options.control, default_control_path());
  EXPECT_EQ(options.pidfile, beside_control(default_control_path(), ".pid"));
  EXPECT_EQ(options.log.file, "");
}

TEST(CommandLine, EachOptionSetsItsOwn) {
  EXPECT_EQ(options_of({"--listen", "[::1]:7", "--listen", "unix:/x"}).listen,
            (std::vector<std::string>{"[::1]:7", "unix:/x"}));
  EXPECT_EQ(options_of({"--mode", "event"}).mode, Mode::event);
  EXPECT_EQ(options_of({"--backlog", "7"}).backlog, 7);
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
  EXPECT_EQ(options_of({"--slots", "5"}).status_slots, 5U);
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
    EXPECT_EQ(find_contradiction(parsed.command->options), "");
  }
  EXPECT_EQ(options_of({"--pool-max", "1"}).pool.max, 1U);
  EXPECT_EQ(options_of({"--pool-min-spare", "100000"}).pool.min_spare, 100000U);
  EXPECT_EQ(options_of({"--pool-max-spare", "1"}).pool.max_spare, 1U);
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

TEST(FindContradiction, TooManyListeners) {
  Options options;
  options.pool = default_pool_sizes(1);
  options.listen.assign(max_listeners, "127.0.0.1:0");
  EXPECT_EQ(find_contradiction(options), "");
  options.listen.emplace_back("127.0.0.1:0");
  EXPECT_THAT(find_contradiction(options), HasSubstr("16"));
}

}  // namespace
}  // namespace forkecho::server
