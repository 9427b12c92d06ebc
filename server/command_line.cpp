#include "server/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <list>

#include "common/mp/cpu_count.h"
#include "common/sys/duration.h"
#include "server/listener.h"

namespace forkecho::server {
namespace {

/// A CLI11 validator that hands the text to `parse` (text to optional value) and stores what it
/// made.
template <typename Parse, typename Value>
CLI::Validator into(Value& target, Parse parse, const std::string& expected) {
  return CLI::Validator(
      [&target, parse, expected](std::string& text) -> std::string {
        const auto value = parse(text);
        if (!value) return "'" + text + "' is not " + expected;
        target = *value;
        return {};
      },
      "");
}

/// Options whose text CLI11 cannot convert by itself: each needs a place where its text lies.
class Texts {
 public:
  std::string& make() { return texts_.emplace_back(); }

 private:
  std::list<std::string> texts_;
};

template <typename Parse, typename Value>
void add_parsed(CLI::App& app, Texts& texts, const char* name, Value& target, Parse parse,
                const std::string& expected, const std::string& shown_default, const char* help) {
  app.add_option(name, texts.make(), help)
      ->check(into(target, parse, expected))
      ->default_str(shown_default);
}

void add_duration(CLI::App& app, Texts& texts, const char* name, sys::Duration& target,
                  const char* help) {
  add_parsed(app, texts, name, target, sys::parse_duration,
             "a duration such as 500ms, 30s or 2m (0 = off)",
             target == sys::Duration::zero() ? "off" : sys::format_duration(target), help);
}

void add_listening(CLI::App& app, Options& options) {
  app.add_option(
         "--listen", options.listen,
         "Where: HOST:PORT, [IPV6]:PORT or unix:PATH; repeatable; port 0 lets the kernel choose")
      ->capture_default_str();
  app.add_option("--backlog", options.backlog, "Clients that the kernel queues for each listener")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
}

void add_mode(CLI::App& app, Texts& texts, Options& options) {
  add_parsed(
      app, texts, "--mode", options.mode, parse_mode, "one of iterative, fork, pool, event", "fork",
      "iterative: one connection at a time; fork: a child process per connection; pool: pre-forked "
      "workers, one connection each; event: pre-forked workers, many connections each");
  add_parsed(app, texts, "--transform", options.transform, parse_transform,
             "one of unicode, ascii, none", "unicode",
             "What the reply is: unicode: as Python's str.upper(); ascii: a-z only; none: an echo "
             "(RFC 862)");
}

void add_accept(CLI::App& app, Texts& texts, Options& options) {
  add_parsed(app, texts, "--accept", options.accept, parse_accept,
             "one of shared, lock, passing, reuseport", "shared",
             "Who accepts in the pool: shared: every worker, from one queue; lock: in turns, under "
             "a lock; passing: a process that passes connections on; reuseport: every worker, from "
             "a queue of its own");
}

void add_pool(CLI::App& app, Options& options) {
  app.add_option("--pool-start", options.pool.start, "Workers at the start (pool)")
      ->capture_default_str();
  app.add_option("--pool-min-spare", options.pool.min_spare, "Idle workers at least")
      ->capture_default_str();
  app.add_option("--pool-max-spare", options.pool.max_spare, "Idle workers at most")
      ->capture_default_str();
  app.add_option("--pool-max", options.pool.max, "Workers at most")->capture_default_str();
  app.add_option("--connections-per-worker-life", options.connections_per_worker_life,
                 "Replace a worker after so many connections; 1 = a fresh process for each, forked "
                 "ahead; 0 = never")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--life-jitter", options.life_jitter,
                 "Shorten each worker's life by a random 0..N connections")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void add_limits(CLI::App& app, Texts& texts, Options& options) {
  app.add_option("--max-connections", options.max_connections, "Connections served at once at most")
      ->check(CLI::Range(1U, 1U << 22))
      ->capture_default_str();
  add_parsed(app, texts, "--when-full", options.when_full, parse_when_full, "one of wait, refuse",
             "wait",
             "wait: leave clients in the kernel's queue; refuse: accept, close and count them");
  add_duration(app, texts, "--first-byte-timeout", options.timeouts.first_byte,
               "For a client's first byte");
  add_duration(app, texts, "--idle-timeout", options.timeouts.idle, "For a client's next byte");
  add_duration(app, texts, "--write-timeout", options.timeouts.write,
               "For a client that does not read its reply");
  add_duration(app, texts, "--max-lifetime", options.timeouts.lifetime,
               "For a connection as a whole");
  add_duration(app, texts, "--drain-timeout", options.timeouts.drain,
               "For open connections after TERM");
}

void add_log(CLI::App& app, Texts& texts, Options& options, const char* default_log) {
  add_parsed(app, texts, "--log-level", options.log.level, log::parse_level,
             "one of debug, info, warning, error", "info", "What is logged");
  add_parsed(app, texts, "--log-format", options.log.format, log::parse_format, "one of text, json",
             "text", "How");
  app.add_option("--log-file", options.log.file, "Where")->default_str(default_log);
}

void add_control(CLI::App& app, std::string& control) {
  app.add_option("--control", control, "The daemon's control socket")->capture_default_str();
}

void add_daemon_options(CLI::App& app, Texts& texts, CommandLine& command,
                        const char* default_log) {
  Options& options = command.options;
  add_listening(app, options);
  add_mode(app, texts, options);
  add_accept(app, texts, options);
  add_pool(app, options);
  add_limits(app, texts, options);
  add_control(app, command.control);
  app.add_option("--pidfile", options.pidfile, "The daemon's locked pid file")
      ->default_str("beside the control socket");
  app.add_option("--slots", options.status_slots, "Lines of the status page at most")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_log(app, texts, options, default_log);
}

/// One line, whatever CLI11 puts into its messages.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// The sizes that nobody gave follow those that somebody did: a single option never contradicts a
/// default, which differs from machine to machine.
void fit_default_sizes(PoolSizes& sizes, const CLI::App& app, bool is_fixed) {
  const auto given = [&app](const char* name) { return app.get_option(name)->count() > 0; };
  if (is_fixed) {
    if (!given("--pool-max")) sizes.max = sizes.start;
    if (!given("--pool-max-spare")) sizes.max_spare = sizes.start;
    if (!given("--pool-min-spare")) sizes.min_spare = sizes.start;
    return;
  }
  if (!given("--pool-max")) sizes.max = std::max({sizes.max, sizes.start, sizes.min_spare});
  if (!given("--pool-max-spare")) sizes.max_spare = std::max(sizes.max_spare, sizes.min_spare);
  if (!given("--pool-min-spare"))
    sizes.min_spare = std::min({sizes.min_spare, sizes.max_spare, sizes.max});
  if (!given("--pool-start")) sizes.start = std::min(sizes.start, sizes.max);
}

void complete(CommandLine& command) {
  Options& options = command.options;
  options.control = command.control;
  if (options.pidfile.empty()) options.pidfile = beside_control(command.control, ".pid");
  if (command.verb == Verb::start && options.log.file.empty()) {
    options.log.file = beside_control(command.control, ".log");
  }
}

Parsed usage_error(const std::string& line) {
  return {.command = std::nullopt,
          .text = "forkechod: " + one_line(line) + " (see forkechod --help)\n",
          .code = ExitCode::usage};
}

}  // namespace

namespace {

/// Each worker has a queue of its own, which nobody else can empty.
std::string find_contradiction_of_own_queues(const Options& options) {
  const PoolSizes& pool = options.pool;
  if (pool.start == 0) return "--pool-start 0: --accept reuseport needs a worker for each queue";
  if (pool.max != pool.start || pool.min_spare != pool.start || pool.max_spare != pool.start)
    return "--accept reuseport: the pool has a fixed size, a queue for each worker: give "
           "--pool-start alone";
  if (pool.start > options.max_connections)
    return "--accept reuseport: --max-connections is smaller than --pool-start, the number of "
           "queues that are served";
  if (options.when_full == WhenFull::refuse)
    return "--when-full refuse: with --accept reuseport clients wait in the queue of one worker, "
           "full or not";
  for (const std::string& address : options.listen) {
    if (address.starts_with("unix:"))
      return "--listen " + address +
             ": --accept reuseport is for TCP (the system gives no second "
             "queue to a unix socket)";
  }
  return {};
}

std::string find_contradiction_of_lives(const Options& options) {
  const std::uint64_t life = options.connections_per_worker_life;
  if (life > 0 && (options.mode == Mode::fork || options.mode == Mode::event))
    return "--connections-per-worker-life concerns --mode pool and iterative only";
  if (options.life_jitter > 0 && life == 0)
    return "--life-jitter shortens a --connections-per-worker-life, and there is none";
  return {};
}

std::string find_contradiction_of_accept(const Options& options) {
  if (options.accept == Accept::shared) return {};
  const std::string given = "--accept " + std::string(to_string(options.accept));
  if (options.mode != Mode::pool) return given + " concerns --mode pool only";
  if (has_single_use_workers(options))
    return given + ": --connections-per-worker-life 1 is for --accept shared";
  return options.accept == Accept::reuseport ? find_contradiction_of_own_queues(options)
                                             : std::string();
}

}  // namespace

std::string find_contradiction(const Options& options) {
  if (std::string wrong = find_contradiction_of_accept(options); !wrong.empty()) return wrong;
  const PoolSizes& pool = options.pool;
  if (pool.max == 0) return "--pool-max 0: a pool needs a worker";
  if (pool.min_spare == 0) return "--pool-min-spare 0: nobody would be there to accept";
  if (pool.min_spare > pool.max_spare) return "--pool-min-spare is larger than --pool-max-spare";
  if (pool.start > pool.max) return "--pool-start is larger than --pool-max";
  if (pool.min_spare > pool.max) return "--pool-min-spare is larger than --pool-max";
  if (std::string wrong = find_contradiction_of_lives(options); !wrong.empty()) return wrong;
  if (options.listen.size() > max_listeners)
    return "more than " + std::to_string(max_listeners) + " --listen addresses";
  return {};
}

Parsed parse_command_line(int argc, const char* const* argv) {
  CommandLine command;
  command.control = default_control_path();
  command.options.pool = default_pool_sizes(mp::cpu_count());
  Texts texts;

  CLI::App app("forkechod: an uppercase-echo TCP server with a process for every connection",
               "forkechod");
  app.set_version_flag("--version", "forkechod " FORKECHO_VERSION);
  app.require_subcommand(0,
                         1);  // that there is one is checked below, after unknown words were named
  app.footer(
      "Signals: TERM and the first INT drain; a second one, or QUIT, ends at once.\n"
      "Exit codes: 0 ok, 64 usage, 69 cannot listen or no daemon answers, 70 bug, 71 system, 78 "
      "configuration.");

  CLI::App* run = app.add_subcommand("run", "Run in the foreground, logging to standard error");
  add_daemon_options(*run, texts, command, "standard error");
  CLI::App* start = app.add_subcommand("start", "Start a daemon; returns once it listens");
  add_daemon_options(*start, texts, command, "beside the control socket");
  CLI::App* stop = app.add_subcommand("stop", "Stop the daemon; returns once it is gone");
  add_control(*stop, command.control);
  stop->add_flag("--now", command.now, "End at once instead of draining");
  add_duration(*stop, texts, "--timeout", command.timeout, "Wait no longer than this");
  CLI::App* status = app.add_subcommand("status", "Show what the daemon does");
  add_control(*status, command.control);
  status->add_flag("--json", command.json, "As one JSON object");

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForVersion&) {
    return {
        .command = std::nullopt, .text = "forkechod " FORKECHO_VERSION "\n", .code = ExitCode::ok};
  } catch (const CLI::CallForHelp&) {
    const auto asked = app.get_subcommands();
    return {.command = std::nullopt,
            .text = (asked.empty() ? app : *asked.front()).help(),
            .code = ExitCode::ok};
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  if (app.get_subcommands().empty())
    return usage_error("A subcommand is required: run, start, stop or status");
  command.verb = run->parsed()     ? Verb::run
                 : start->parsed() ? Verb::start
                 : stop->parsed()  ? Verb::stop
                                   : Verb::status;
  if (run->parsed() || start->parsed())
    fit_default_sizes(command.options.pool, run->parsed() ? *run : *start,
                      command.options.accept == Accept::reuseport);
  if (const std::string wrong = find_contradiction(command.options); !wrong.empty())
    return usage_error(wrong);
  complete(command);
  return {.command = std::move(command), .text = {}, .code = ExitCode::ok};
}

}  // namespace forkecho::server
