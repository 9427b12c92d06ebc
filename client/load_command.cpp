#include "client/load_command.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "client/exit_code.h"
#include "client/html_report.h"
#include "client/load.h"
#include "client/options.h"
#include "client/run_json.h"
#include "client/summary.h"
#include "client/terminal_progress.h"
#include "client/write_file.h"

namespace forkecho::client {
namespace {

constexpr unsigned most_connections = 1'000'000;
constexpr unsigned most_workers = 1024;
constexpr std::size_t largest_request = std::size_t{256}
                                        << 20;  // two of them, and their replies, are held

struct LoadOptions {
  LoadPlan plan;
  std::string json_file;
  std::string html_file;
  bool quiet = false;
};

void write_results(const RunResult& result, const LoadOptions& options) {
  // Where the JSON or the page goes to standard output, nothing else does.
  const bool prints_summary = options.json_file != "-" && options.html_file != "-";
  if (prints_summary) std::fputs(summary(result).c_str(), stdout);
  const auto json = to_json(result);
  if (!options.json_file.empty()) write_file_whole(options.json_file, json.dump(2) + '\n');
  if (!options.html_file.empty()) write_file_whole(options.html_file, html_report({json}));
}

int load(const LoadOptions& options) {
  for (const std::string& file : {options.json_file, options.html_file}) {
    if (!file.empty()) check_writable(file);
  }
  TerminalProgress progress(stderr);
  const bool shows_progress = !options.quiet && isatty(STDERR_FILENO) == 1;
  const RunResult result = run_load(options.plan, shows_progress ? &progress : nullptr);
  write_results(result, options);
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
  add_result_file_option(*command, "--json", options->json_file,
                         "write the result as JSON to this file; - is standard output");
  add_result_file_option(*command, "--html", options->html_file,
                         "write the result as a page to this file; - is standard output");
  command->add_flag("--quiet", options->quiet, "no progress on the terminal");
  command->callback([options, &chosen] { chosen = [options] { return load(*options); }; });
}

}  // namespace forkecho::client
