#include "client/search_command.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/exit_code.h"
#include "client/figures.h"
#include "client/load.h"
#include "client/load_command.h"
#include "client/options.h"
#include "client/search_run.h"
#include "client/write_file.h"

namespace forkecho::client {
namespace {

constexpr double default_first_rps = 1000;
constexpr unsigned most_repeats = 99;

struct SearchOptions {
  SearchOptions() {
    plan.duration = std::chrono::seconds(3);
    plan.warmup = std::chrono::milliseconds(500);
  }

  LoadPlan plan;
  std::vector<std::string> targets;
  std::vector<Slo> terms;
  unsigned repeats = SearchLimits{}.repeats;
  std::string json_file;
  bool quiet = false;
};

LoadPlan plan_of(const SearchOptions& options) {
  LoadPlan plan = options.plan;
  set_targets(plan, options.targets);
  if (!is_open_loop(plan)) plan.rate = default_first_rps;
  return plan;
}

/// One line for each measurement, for a person who waits.
void tell(const SearchRepeat& repeat) {
  std::fprintf(stderr, "%s/s: %s, p99 %s\n", format_three_digits(repeat.rps).c_str(),
               repeat.holds   ? "holds"
               : repeat.valid ? "does not hold"
                              : "INVALID",
               format_latency(repeat.p99_ns).c_str());
}

int search(const SearchOptions& options) {
  if (options.repeats % 2 == 0) throw UsageError("--repeats must be odd: most of them decide");
  LoadPlan plan = plan_of(options);
  refuse_pinned_server(plan);
  if (auto wrong = find_contradiction(plan); !wrong.empty()) throw UsageError(wrong);
  if (!options.json_file.empty()) check_writable(options.json_file);
  const bool shows_progress = !options.quiet && isatty(STDERR_FILENO) == 1;
  const SearchResult result = run_search(
      {.first_rps = plan.rate, .repeats = options.repeats}, options.terms,
      [&](double rps) {
        plan.rate = rps;
        return run_load(plan, nullptr);
      },
      shows_progress ? SearchProgress(tell) : SearchProgress());
  if (options.json_file != "-") std::fputs(search_table(result).c_str(), stdout);
  if (!options.json_file.empty()) {
    write_file_whole(options.json_file, to_json(result).dump(2) + '\n');
  }
  return exit_code(result);
}

}  // namespace

void add_search_command(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand(
      "search", "Find the highest rate at which a server keeps to what it is asked");
  const auto options = std::make_shared<SearchOptions>();
  command
      ->add_option("TARGET", options->targets,
                   "HOST:PORT, [IPV6]:PORT or unix:PATH; the connections take turns over several")
      ->required();
  add_plan_options(*command, options->plan);
  command->get_option("--rate")->description("where the search begins; without it, at 1,000/s");
  add_slo_option(*command, options->terms);
  command->get_option("--slo")->required();
  command->add_option("--repeats", options->repeats, "measurements of each rate, odd; most decide")
      ->check(CLI::Range(1U, most_repeats))
      ->capture_default_str();
  add_result_file_option(*command, "--json", options->json_file,
                         "write the result as JSON to this file; - is standard output");
  command->add_flag("--quiet", options->quiet, "no progress on the terminal");
  command->callback([options, &chosen] { chosen = [options] { return search(*options); }; });
}

}  // namespace forkecho::client
