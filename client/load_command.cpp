#include "client/load_command.h"

#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <memory>

#include "client/ceiling.h"
#include "client/exit_code.h"
#include "client/load.h"
#include "client/options.h"
#include "client/result_files.h"
#include "client/slo.h"
#include "client/source_addresses.h"
#include "client/summary.h"
#include "client/terminal_progress.h"

namespace forkecho::client {
namespace {

constexpr unsigned most_connections = 1'000'000;
constexpr unsigned most_workers = 1024;
constexpr unsigned most_depth = 65'536;
constexpr double least_rate = 1e-6;
constexpr double most_rate = 1e9;

struct LoadOptions {
  LoadPlan plan;
  std::vector<std::string> targets;
  std::vector<Slo> slos;
  ResultFiles files;
  bool quiet = false;
  bool ceiling = false;
};

LoadPlan plan_of(const LoadOptions& options) {
  LoadPlan plan = options.plan;
  set_targets(plan, options.targets);
  return plan;
}

int load(LoadOptions options) {
  options.files.fill_in_host();
  options.files.check();
  refuse_pinned_server(options.plan);
  const bool shows_progress = !options.quiet && isatty(STDERR_FILENO) == 1;
  TerminalProgress progress(stderr, shows_progress ? TerminalProgress::Tell::everything
                                                   : TerminalProgress::Tell::warnings);
  RunResult result = run_load(plan_of(options), &progress);
  result.slos = judge(options.slos, result);
  if (options.ceiling && !result.interrupted) result.ceiling = measure_ceiling(result.plan);
  if (!options.files.take_standard_output()) std::fputs(summary(result).c_str(), stdout);
  options.files.write(result);
  return exit_code(result);
}

void add_size_option(CLI::App& command, SizeDistribution& destination) {
  const auto read = [&destination](const std::string& text) {
    const auto size = SizeDistribution::parse(text);
    if (!size) {
      throw CLI::ValidationError(
          "--size", "'" + text + "' is no size; write it like 64, 64-4096 or 64:9,4096:1");
    }
    destination = *size;
  };
  command
      .add_option_function<std::string>(
          "-s,--size", read, "bytes of a request: 64; 64-4096, evenly; 64:9,4096:1, by weight")
      ->type_name("SIZE")
      ->default_str(destination.to_string());
}

/// The word is for settings that always name a rate, such as a compose file's.
void add_rate_option(CLI::App& command, double& destination) {
  const auto read = [&destination](const std::string& text) {
    if (text == "closed") {
      destination = 0;
      return;
    }
    double rate = 0;
    const char* end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, rate);
    if (error != std::errc() || last != end || !(rate >= least_rate && rate <= most_rate)) {
      throw CLI::ValidationError("--rate", "'" + text +
                                               "' is no rate: a number of requests per second, or "
                                               "closed");
    }
    destination = rate;
  };
  command
      .add_option_function<std::string>(
          "-r,--rate", read,
          "open loop: requests per second over all connections; without it, or with the word "
          "closed, a closed loop")
      ->type_name("FLOAT");
}

void add_pin_option(CLI::App& command, ProcessorPins& destination) {
  const auto read = [&destination](const std::string& text) {
    const auto pins = ProcessorPins::parse(text);
    if (!pins) {
      throw CLI::ValidationError(
          "--pin", "'" + text + "' is no placement; write it like server:0,client:1-3");
    }
    for (const Processors& processors : {pins->server, pins->client}) {
      const std::string missing = find_unavailable(processors);
      if (missing.empty()) continue;
      throw CLI::ValidationError("--pin", "this program may not run on processor " + missing +
                                              " (see nproc, taskset -p $$)");
    }
    destination = *pins;
  };
  command
      .add_option_function<std::string>(
          "--pin", read,
          "processors to run on: client:1-3; of a server that compare starts also server:0")
      ->type_name("PLACE");
}

}  // namespace

void refuse_pinned_server(const LoadPlan& plan) {
  if (plan.pins.server.empty()) return;
  throw UsageError(
      "--pin server: is for a server that compare starts; place a running one with taskset -a -p");
}

void add_slo_option(CLI::App& command, std::vector<Slo>& destination) {
  const auto read = [&destination](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      const auto term = Slo::parse(text);
      if (!term) {
        throw CLI::ValidationError(
            "--slo",
            "'" + text + "' is no term; write it like p99<5ms, errors<0.1% or achieved>99%");
      }
      destination.push_back(*term);
    }
  };
  command
      .add_option_function<std::vector<std::string>>(
          "--slo", read,
          "what the run must keep to: p99<5ms, errors<0.1%, achieved>99%; repeatable")
      ->type_name("TERM")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_plan_options(CLI::App& command, LoadPlan& plan) {
  command.add_option("-c,--connections", plan.connections, "connections held at once")
      ->check(CLI::Range(1U, most_connections))
      ->capture_default_str();
  command.add_option("-w,--workers", plan.workers, "load processes; 0 = one for each processor")
      ->check(CLI::Range(0U, most_workers))
      ->capture_default_str();
  auto* duration = add_duration_option(command, "-d,--duration", plan.duration,
                                       "length of the measured part", Zero::refused);
  command
      .add_option("-n,--requests", plan.requests,
                  "number of measured requests, instead of a duration")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 62))
      ->excludes(duration);
  add_rate_option(command, plan.rate);
  add_choice_option(command, "--arrivals", plan.arrivals, &parse_arrivals, "constant, poisson",
                    "when the requests of an open loop are due");
  add_choice_option(
      command, "--workload", plan.workload, &parse_workload, "rr, crr, stream",
      "rr: request and reply on held connections; crr: connect, request, reply, close; "
      "stream: as much as the connections take");
  command
      .add_option("--requests-per-connection", plan.requests_per_connection,
                  "then close and connect anew; 0 = as the workload has it")
      ->capture_default_str();
  command.add_option("--depth", plan.depth, "requests in flight on a connection")
      ->check(CLI::Range(1U, most_depth))
      ->capture_default_str();
  add_size_option(command, plan.size);
  add_choice_option(command, "--payload", plan.payload, &parse_payload, "ascii, unicode, random",
                    "what the requests are made of");
  add_choice_option(command, "--expect", plan.expect, &parse_expect, "unicode, ascii, none",
                    "what the server does to the text (its --transform)");
  add_duration_option(command, "--warmup", plan.warmup, "load before the measured part");
  add_duration_option(command, "--timeout", plan.timeout, "of a connect, of a request, of a close",
                      Zero::refused);
  add_duration_option(command, "--think", plan.think,
                      "pause on a connection between a reply and the next request");
  add_duration_option(
      command, "--ramp", plan.ramp,
      "from the start on the rate rises; in a closed loop the connections begin one by one");
  add_choice_option(command, "--close", plan.close, &parse_close, "fin, rst",
                    "fin: half-close and wait for the server's end; rst: reset");
  command
      .add_option("--source", plan.source,
                  "addresses of this machine to connect from: ADDRESS/BITS")
      ->type_name("CIDR")
      ->check([](const std::string& text) {
        const GivenSources sources = find_sources(text, 1);
        return sources.error;
      });
  add_pin_option(command, plan.pins);
  add_duration_option(command, "--wait-for", plan.wait_for,
                      "how long to wait for the server to be there");
}

void add_load_command(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand(
      "load", "Drive a server, check every byte of its replies, tell what it took");
  const auto options = std::make_shared<LoadOptions>();
  command
      ->add_option("TARGET", options->targets,
                   "HOST:PORT, [IPV6]:PORT or unix:PATH; the connections take turns over several")
      ->required();
  add_plan_options(*command, options->plan);
  add_start_at_option(*command, options->plan.start_at,
                      "begin at this moment, with others on other machines");
  command->add_flag("--every-address", options->plan.every_address,
                    "the connections take turns over all addresses that a name stands for");
  add_slo_option(*command, options->slos);
  add_result_files_options(*command, options->files);
  command->add_flag("--ceiling", options->ceiling,
                    "then measure what this client reaches against a server that does nothing");
  command->add_flag("--quiet", options->quiet, "no progress on the terminal");
  command->callback([options, &chosen] { chosen = [options] { return load(*options); }; });
}

}  // namespace forkecho::client
