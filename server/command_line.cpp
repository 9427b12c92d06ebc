#include "server/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <set>

#include "common/mp/cpu_count.h"
#include "common/sys/duration.h"
#include "common/sys/host_name.h"
#include "common/sys/socket_address.h"
#include "server/config_file.h"
#include "server/contradiction.h"
#include "server/listener.h"
#include "server/suggestion.h"

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
CLI::Option* add_parsed(CLI::App& app, Texts& texts, const char* name, Value& target, Parse parse,
                        const std::string& expected, const std::string& shown_default,
                        const char* help) {
  return app.add_option(name, texts.make(), help)
      ->check(into(target, parse, expected))
      ->default_str(shown_default);
}

std::optional<sys::Duration> parse_pause(std::string_view text) {
  const auto pause = sys::parse_duration(text);
  return pause && *pause >= std::chrono::milliseconds(10) ? pause : std::nullopt;
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

void add_acceptors(CLI::App& app, Options& options) {
  app.add_option("--acceptors", options.acceptors, "Processes that accept, in fork mode")
      ->check(CLI::Range(1U, max_acceptors))
      ->default_str(std::to_string(default_acceptors(mp::cpu_count())));
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

void add_admission(CLI::App& app, AdmissionOptions& options) {
  app.add_option("--max-per-source", options.max_per_source,
                 "Connections of one IPv4 address or one IPv6 /64 at most; 0 = off")
      ->check(CLI::Range(0U, 1U << 22))
      ->capture_default_str();
  app.add_option_function<std::vector<std::string>>(
         "--exempt",
         [&options](const std::vector<std::string>& texts) {
           options.exempt.clear();
           for (const std::string& text : texts) options.exempt.push_back(parse_cidr(text).cidr);
         },
         "An address or block such as 10.0.0.0/8 that --max-per-source does not hold for, and that "
         "is not refused for --accept-rate; repeatable")
      ->check(CLI::Validator([](std::string& text) { return parse_cidr(text).error; }, ""));
  app.add_option("--accept-rate", options.accept_rate,
                 "Connections admitted per second at most, over all processes; 0 = off")
      ->check(CLI::Range(0U, 1000000U))
      ->capture_default_str();
  app.add_option("--accept-burst", options.accept_burst,
                 "Connections that --accept-rate lets in at once")
      ->check(CLI::Range(1U, 1000000U))
      ->default_str("those of a tenth of a second");
}

void add_limits(CLI::App& app, Texts& texts, Options& options) {
  app.add_option("--max-connections", options.max_connections, "Connections served at once at most")
      ->check(CLI::Range(1U, 1U << 22))
      ->capture_default_str();
  add_parsed(app, texts, "--when-full", options.when_full, parse_when_full, "one of wait, refuse",
             "wait",
             "wait: leave clients in the kernel's queue; refuse: accept, close and count them");
  add_admission(app, options.admission);
  add_duration(app, texts, "--first-byte-timeout", options.timeouts.first_byte,
               "For a client's first byte");
  add_duration(app, texts, "--idle-timeout", options.timeouts.idle, "For a client's next byte");
  add_duration(app, texts, "--write-timeout", options.timeouts.write,
               "For a client that does not read its reply");
  add_duration(app, texts, "--max-lifetime", options.timeouts.lifetime,
               "For a connection as a whole");
  add_duration(app, texts, "--drain-timeout", options.timeouts.drain,
               "For open connections after TERM");
  add_duration(app, texts, "--stress-timeout", options.timeouts.stress,
               "For first byte and next byte at most, while 90 % of --max-connections are in use "
               "and until it is below 75 %");
}

void add_confinement(CLI::App& app, Texts& texts, ConfinementOptions& confinement) {
  app.add_option("--user", confinement.user,
                 "Whom all but the supervisor run as: a name or a number (needs root)");
  app.add_option("--group", confinement.group,
                 "Their group; without it the user's own. They have no other groups");
  app.add_option("--chroot", confinement.chroot,
                 "The directory, best an empty one, that is all they see of the file system");
  add_parsed(app, texts, "--sandbox", confinement.sandbox, parse_sandbox, "one of on, strict, off",
             "on",
             "on: no capabilities, and no system calls but those that serving needs; strict: fewer "
             "still in each child of fork mode, for some 40 us a connection; off: neither");
}

void add_log(CLI::App& app, Texts& texts, Options& options, const char* default_log) {
  add_parsed(app, texts, "--log-level", options.log.level, log::parse_level,
             "one of debug, info, warning, error", "info", "What is logged");
  add_parsed(app, texts, "--log-format", options.log.format, log::parse_format, "one of text, json",
             "text", "How");
  app.add_option("--log-file", options.log.file, "Where")->default_str(default_log);
}

void add_sight(CLI::App& app, Options& options) {
  app.add_option("--metrics", options.metrics,
                 "Where Prometheus gets its metrics: HOST:PORT, [IPV6]:PORT or unix:PATH")
      ->default_str("off");
  app.add_option("--final-status", options.final_status,
                 "A file for the last status, as `status --json` gives it, once the last "
                 "connection has ended; {host} in its name is this host's")
      ->default_str("off");
  app.add_option("--access-log", options.access_log,
                 "A file for one line per connection, as --log-format says")
      ->default_str("off");
}

void add_control(CLI::App& app, CommandLine& command) {
  app.add_option("--control", command.control, "The daemon's control socket")
      ->capture_default_str();
  app.add_option(
         "--config", command.config,
         "A file with lines 'name = value', the names those of the options; what the command "
         "line says wins")
      ->configurable(false);
}

void add_daemon_options(CLI::App& app, Texts& texts, CommandLine& command,
                        const char* default_log) {
  Options& options = command.options;
  add_listening(app, options);
  add_mode(app, texts, options);
  add_acceptors(app, options);
  add_accept(app, texts, options);
  add_pool(app, options);
  add_limits(app, texts, options);
  add_confinement(app, texts, options.confinement);
  add_control(app, command);
  app.add_option("--pidfile", options.pidfile, "The daemon's locked pid file")
      ->default_str("beside the control socket");
  add_duration(app, texts, "--upgrade-timeout", options.upgrade_timeout,
               "For a new program to be ready, before an upgrade is given up");
  app.add_option("--slots", options.status_slots, "Lines of the status page at most")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_log(app, texts, options, default_log);
  add_sight(app, options);
}

/// One line, whatever CLI11 puts into its messages, and a file into its names.
std::string one_line(std::string text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  std::replace_if(text.begin(), text.end(), is_control, ' ');
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
  options.config = command.config;
  options.command_line = command.arguments;
  options.final_status = sys::with_host_name(options.final_status);
  if (options.pidfile.empty()) options.pidfile = beside_control(command.control, ".pid");
  if (command.verb == Verb::start && options.log.file.empty()) {
    options.log.file = beside_control(command.control, ".log");
  }
}

Parsed failure(ExitCode code, const std::string& line) {
  return {.command = std::nullopt,
          .text = "forkechod: " + one_line(line) + " (see forkechod --help)\n",
          .code = code};
}

/// What came of one pass over arguments, contradictions between them not yet looked for.
struct Pass {
  std::optional<CommandLine> command;
  std::optional<std::string> text;  // help, version
  std::string error;
  std::set<std::string> given;          // options of the verb, without their dashes
  std::vector<std::string> known;       // those that a file may have
  std::set<std::string> single_valued;  // those of them that cannot be repeated
};

void take_stock(const CLI::App& verb, Pass& pass) {
  for (const CLI::Option* option : verb.get_options()) {
    if (option->get_lnames().empty()) continue;
    const std::string& name = option->get_lnames().front();
    if (option->count() > 0) pass.given.insert(name);
    if (!option->get_configurable() || name == "help") continue;
    pass.known.push_back(name);
    if (option->get_items_expected_max() <= 1) pass.single_valued.insert(name);
  }
}

Verb verb_named(const std::string& name) {
  static const std::map<std::string, Verb> verbs{
      {"run", Verb::run},
      {"start", Verb::start},
      {"stop", Verb::stop},
      {"status", Verb::status},
      {"check", Verb::check},
      {"reload", Verb::reload},
      {"reopen-logs", Verb::reopen_logs},
      {"upgrade", Verb::upgrade},
  };
  return verbs.at(name);
}

bool is_about_options(Verb verb) {
  return verb == Verb::run || verb == Verb::start || verb == Verb::check;
}

Pass parse_arguments(const std::vector<std::string>& arguments) {
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
  add_control(*stop, command);
  stop->add_flag("--now", command.now, "End at once instead of draining");
  add_duration(*stop, texts, "--timeout", command.timeout, "Wait no longer than this");
  CLI::App* upgrade = app.add_subcommand(
      "upgrade", "Replace the daemon by its program's new version; returns once that one serves");
  add_control(*upgrade, command);
  CLI::App* status = app.add_subcommand("status", "Show what the daemon does");
  add_control(*status, command);
  status->add_flag("--json", command.json, "As one JSON object");
  CLI::Option* watch = status->add_flag("--watch", command.watch, "Again and again, until INT");
  add_parsed(*status, texts, "--every", command.every, parse_pause, "a duration of at least 10ms",
             "1s", "How often to show it")
      ->needs(watch);

  add_daemon_options(*app.add_subcommand("check", "Say whether the configuration can be used"),
                     texts, command, "standard error");
  add_control(*app.add_subcommand("reload", "Read the configuration again; returns once it holds"),
              command);
  add_control(*app.add_subcommand("reopen-logs",
                                  "Open the log files anew; returns once the old ones are free"),
              command);

  Pass pass;
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  try {
    app.parse(static_cast<int>(argv.size()), argv.data());
  } catch (const CLI::CallForVersion&) {
    pass.text = "forkechod " FORKECHO_VERSION "\n";
    return pass;
  } catch (const CLI::CallForHelp&) {
    const auto asked = app.get_subcommands();
    pass.text = (asked.empty() ? app : *asked.front()).help();
    return pass;
  } catch (const CLI::ParseError& error) {
    pass.error = error.what();
    return pass;
  }
  if (app.get_subcommands().empty()) {
    pass.error =
        "A subcommand is required: run, start, stop, upgrade, status, check, reload or "
        "reopen-logs";
    return pass;
  }
  const CLI::App& verb = *app.get_subcommands().front();
  command.verb = verb_named(verb.get_name());
  command.arguments = arguments;
  if (is_about_options(command.verb)) {
    fit_default_sizes(command.options.pool, verb, command.options.accept == Accept::reuseport);
    if (command.options.mode == Mode::fork && verb.get_option("--acceptors")->count() == 0)
      command.options.acceptors = default_acceptors(mp::cpu_count());
  }
  take_stock(verb, pass);
  complete(command);
  pass.command = std::move(command);
  return pass;
}

/// The content of a configuration file, or why it cannot be read.
struct FileRead {
  std::string content;
  std::string error;
};

FileRead read_config_file(const std::string& path) {
  constexpr std::size_t longest = 1 << 20;
  FileRead read;
  std::error_code error;
  if (std::filesystem::is_directory(path, error) || std::filesystem::is_other(path, error)) {
    read.error = "is no file";
    return read;
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    read.error = std::strerror(errno);
    return read;
  }
  read.content.resize(longest);
  file.read(read.content.data(), static_cast<std::streamsize>(longest));
  read.content.resize(static_cast<std::size_t>(file.gcount()));
  if (read.content.size() == longest) read.error = "is larger than 1 MiB";
  return read;
}

/// The entry as arguments of a command line.
void append_arguments(std::vector<std::string>& arguments, const ConfigEntry& entry) {
  for (const std::string& value : entry.values) {
    // In one, whatever it begins with; CLI11 takes the next for the value of "--name=".
    if (value.empty()) {
      arguments.insert(arguments.end(), {"--" + entry.name, value});
    } else {
      arguments.push_back("--" + entry.name + "=" + value);
    }
  }
}

/// What is wrong with an entry by itself; empty when nothing is.
std::string find_fault(const ConfigEntry& entry, const Pass& command_line) {
  const auto& known = command_line.known;
  if (std::find(known.begin(), known.end(), entry.name) == known.end()) {
    const std::string nearest = nearest_name(entry.name, known);
    return "unknown option '" + entry.name + "'" +
           (nearest.empty() ? "" : "; did you mean '" + nearest + "'?");
  }
  if (entry.values.empty()) return entry.name + " has no value";
  if (entry.name == "listen") {
    for (const std::string& address : entry.values) {
      if (std::string wrong = sys::find_malformation(address); !wrong.empty()) return wrong;
    }
  }
  std::vector<std::string> alone{"forkechod", "run"};
  append_arguments(alone, entry);
  return parse_arguments(alone).error;
}

/// The command line with what the file says between the verb and the options, or the error.
Parsed parse_with_config(const Pass& command_line) {
  const CommandLine& command = *command_line.command;
  const auto fail = [&](unsigned line, const std::string& error) {
    const std::string where = line == 0 ? ": " : ":" + std::to_string(line) + ": ";
    return failure(ExitCode::config, command.config + where + error);
  };
  const FileRead file = read_config_file(command.config);
  if (!file.error.empty()) return fail(0, "the configuration file cannot be read: " + file.error);
  const ConfigText text = parse_config(file.content);
  if (!text.error.empty()) return fail(text.error_line, text.error);

  std::vector<std::string> arguments{command.arguments[0], command.arguments[1]};
  std::set<std::string> said;
  for (const ConfigEntry& entry : text.entries) {
    // Of a daemon's file the other verbs need to know where it listens to them.
    if (!is_about_options(command.verb) && entry.name != "control") continue;
    if (const std::string wrong = find_fault(entry, command_line); !wrong.empty())
      return fail(entry.line, wrong);
    if (!said.insert(entry.name).second && command_line.single_valued.contains(entry.name))
      return fail(entry.line, entry.name + " is there twice");
    if (!command_line.given.contains(entry.name)) append_arguments(arguments, entry);
  }
  arguments.insert(arguments.end(), command.arguments.begin() + 2, command.arguments.end());
  Pass merged = parse_arguments(arguments);
  if (!merged.command) return fail(0, merged.error);
  if (const std::string wrong = find_contradiction(merged.command->options); !wrong.empty())
    return fail(0, wrong);
  merged.command->arguments = merged.command->options.command_line = command.arguments;
  for (const std::string& name : said) {
    if (!command_line.given.contains(name)) merged.command->from_config.push_back(name);
  }
  return {.command = std::move(merged.command), .text = {}, .code = ExitCode::ok};
}

}  // namespace

Parsed parse_command_line(int argc, const char* const* argv) {
  return parse_command_line(std::vector<std::string>(argv, argv + argc));
}

Parsed parse_command_line(const std::vector<std::string>& arguments) {
  Pass pass = parse_arguments(arguments);
  if (pass.text) return {.command = std::nullopt, .text = *pass.text, .code = ExitCode::ok};
  if (!pass.command) return failure(ExitCode::usage, pass.error);
  if (!pass.command->config.empty()) {
    // Alone, a contradiction is the command line's own.
    Parsed parsed = parse_with_config(pass);
    if (parsed.command) return parsed;
    const std::string wrong = find_contradiction(pass.command->options);
    return wrong.empty() ? parsed : failure(ExitCode::usage, wrong);
  }
  if (const std::string wrong = find_contradiction(pass.command->options); !wrong.empty())
    return failure(ExitCode::usage, wrong);
  return {.command = std::move(pass.command), .text = {}, .code = ExitCode::ok};
}

}  // namespace forkecho::server
