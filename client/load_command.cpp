#include "client/load_command.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

#include "client/exit_code.h"
#include "client/load.h"
#include "client/options.h"
#include "client/result_files.h"
#include "client/summary.h"
#include "client/terminal_progress.h"

namespace forkecho::client {
namespace {

constexpr unsigned most_connections = 1'000'000;
constexpr unsigned most_workers = 1024;
constexpr std::size_t largest_request = std::size_t{256}
                                        << 20;  // two of them, and their replies, are held

struct LoadOptions {
  LoadPlan plan;
  ResultFiles files;
  bool quiet = false;
};

int load(const LoadOptions& options) {
  options.files.check();
  TerminalProgress progress(stderr);
  const bool shows_progress = !options.quiet && isatty(STDERR_FILENO) == 1;
  const RunResult result = run_load(options.plan, shows_progress ? &progress : nullptr);
  if (!options.files.take_standard_output()) std::fputs(summary(result).c_str(), stdout);
  options.files.write(result);
  return exit_code(result);
}

}  // namespace

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
  add_choice_option(
      command, "--workload", plan.workload, &parse_workload, "rr, crr",
      "rr: request and reply on held connections; crr: connect, request, reply, close");
  command.add_option("-s,--size", plan.size, "bytes of a request")
      ->check(CLI::Range(std::size_t{1}, largest_request))
      ->capture_default_str();
  add_choice_option(command, "--payload", plan.payload, &parse_payload, "ascii, unicode",
                    "what the requests are made of");
  add_choice_option(command, "--expect", plan.expect, &parse_expect, "unicode, ascii, none",
                    "what the server does to the text (its --transform)");
  add_duration_option(command, "--warmup", plan.warmup, "load before the measured part");
  add_duration_option(command, "--timeout", plan.timeout, "of a connect, of a request, of a close",
                      Zero::refused);
  add_duration_option(command, "--wait-for", plan.wait_for,
                      "how long to wait for the server to be there");
}

void add_load_command(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand(
      "load", "Drive a server, check every byte of its replies, tell what it took");
  const auto options = std::make_shared<LoadOptions>();
  command->add_option("TARGET", options->plan.target, "HOST:PORT, [IPV6]:PORT or unix:PATH")
      ->required();
  add_plan_options(*command, options->plan);
  add_result_files_options(*command, options->files);
  command->add_flag("--quiet", options->quiet, "no progress on the terminal");
  command->callback([options, &chosen] { chosen = [options] { return load(*options); }; });
}

}  // namespace forkecho::client
