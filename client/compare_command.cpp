#include "client/compare_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "client/comparison_json.h"
#include "client/comparison_run.h"
#include "client/comparison_table.h"
#include "client/html_report.h"
#include "client/load_command.h"
#include "client/options.h"
#include "client/pair_comparison.h"
#include "client/result_files.h"
#include "client/run_program.h"
#include "client/saved_file.h"
#include "client/write_file.h"

namespace forkecho::client {
namespace {

constexpr unsigned most_rounds = 10'000;

struct CompareOptions {
  CompareOptions() {
    plan.slice.connections = 16;
    plan.slice.workload = Workload::crr;
    plan.slice.duration = std::chrono::seconds(1);
    plan.slice.warmup = std::chrono::milliseconds(200);
    const auto all = all_server_designs();
    for (const ServerDesign& design : all) plan.designs.push_back(&design);
  }

  ComparisonPlan plan;
  std::vector<std::string> saved;  // two files, instead of measuring
  bool stevens = false;
  std::string server;
  std::string json_file;
  std::string html_file;
  bool quiet = false;
};

/// The load of UNIX Network Programming, volume 1, section 30.2 and figure 30.1.
void measure_as_stevens_did(LoadPlan& slice) {
  slice.workload = Workload::crr;
  slice.requests = static_cast<std::uint64_t>(stevens_connections);
  slice.connections = 10;
  slice.size = SizeDistribution(4000);
  slice.warmup = sys::Duration::zero();
}

std::string names_of_designs() {
  std::string names;
  for (const ServerDesign& design : all_server_designs()) {
    names.append(names.empty() ? "" : ", ").append(design.name);
  }
  return names;
}

/// One line that is written over, on the terminal of a person who waits.
class TerminalLine : public ComparisonProgress {
 public:
  ~TerminalLine() override { clear(); }
  void slice_begins(unsigned round, unsigned rounds, const std::string& name) override {
    clear();
    std::fprintf(stderr, "round %u of %u: %s", round, rounds, name.c_str());
    shown_ = true;
  }

 private:
  void clear() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
    shown_ = false;
  }
  bool shown_ = false;
};

std::filesystem::path find_server(const std::string& asked) {
  if (!asked.empty()) {
    if (access(asked.c_str(), X_OK) != 0)
      throw UsageError("--server: '" + asked + "' cannot be executed");
    return std::filesystem::absolute(asked);
  }
  if (auto found = find_program("forkechod")) return *found;
  throw UsageError(
      "forkechod is neither beside this program nor in PATH: say where it is with --server");
}

void check_that_one_is_applicable(const ComparisonPlan& plan) {
  const auto use =
      plan.slice.workload == Workload::crr ? ConnectionUse::one_request : ConnectionUse::held;
  const bool none = std::ranges::all_of(plan.designs, [&](const ServerDesign* design) {
    return why_not_applicable(*design, use, plan.slice.connections).has_value();
  });
  if (none && plan.targets.empty()) {
    throw UsageError(
        fmt::format("none of these designs can hold {} connections", plan.slice.connections));
  }
}

ComparisonPlan complete(const CompareOptions& options) {
  ComparisonPlan plan = options.plan;
  if (options.stevens) measure_as_stevens_did(plan.slice);
  if (!plan.targets.empty()) {
    refuse_pinned_server(plan.slice);
    plan.designs.clear();
  }
  check_that_one_is_applicable(plan);
  if (!plan.designs.empty()) plan.server_program = find_server(options.server);
  return plan;
}

void write_results(const Comparison& comparison, const CompareOptions& options) {
  const bool prints_table = options.json_file != "-" && options.html_file != "-";
  if (prints_table) std::fputs(comparison_table(comparison).c_str(), stdout);
  const auto json = to_json(comparison);
  if (!options.json_file.empty()) write_file_whole(options.json_file, json.dump(2) + '\n');
  if (!options.html_file.empty()) write_file_whole(options.html_file, html_report({json}));
}

int compare_saved(const CompareOptions& options) {
  const std::string& a = options.saved.front();
  const std::string& b = options.saved.back();
  const std::vector documents{read_document(a), read_document(b)};
  const PairComparison pair = [&] {
    try {
      return compare_documents(documents.front(), documents.back());
    } catch (const CannotCompare& error) {
      throw UsageError(a + " and " + b + ": " + error.what());
    }
  }();
  const auto json = to_json(pair, a, b);
  const bool prints_table = options.json_file != "-" && options.html_file != "-";
  if (prints_table) std::fputs(pair_table(pair, a, b).c_str(), stdout);
  if (!options.json_file.empty()) write_file_whole(options.json_file, json.dump(2) + '\n');
  if (!options.html_file.empty()) {
    write_file_whole(options.html_file, html_report({json, documents.front(), documents.back()}));
  }
  return exit_code(pair);
}

int compare(const CompareOptions& options) {
  check_result_files(std::array{options.json_file, options.html_file});
  if (!options.saved.empty()) return compare_saved(options);
  TerminalLine line;
  const bool shows_progress = !options.quiet && isatty(STDERR_FILENO) == 1;
  const Comparison comparison = run_comparison(complete(options), shows_progress ? &line : nullptr);
  if (comparison.rounds_done == 0) {
    std::fputs("forkecho: interrupted before the first round was complete\n", stderr);
    return exit_failed;
  }
  write_results(comparison, options);
  return exit_code(comparison);
}

void add_server_options(CLI::App& command, CompareOptions& options) {
  const auto read_designs = [&options](const std::string& text) {
    const auto designs = parse_designs(text);
    if (!designs) {
      throw CLI::ValidationError(
          "--designs", "'" + text + "' is no list of different names from: " + names_of_designs());
    }
    options.plan.designs = *designs;
  };
  const auto read_targets = [&options](const std::string& text) {
    const auto targets = parse_named_targets(text);
    if (!targets) {
      throw CLI::ValidationError("--targets",
                                 "'" + text + "' is no list such as fork=host:9001,pool=host:9002");
    }
    options.plan.targets = *targets;
  };
  auto* designs = command
                      .add_option_function<std::string>("--designs", read_designs,
                                                        "designs to start and measure")
                      ->type_name("LIST")
                      ->default_str(names_of_designs());
  auto* targets = command.add_option_function<std::string>(
      "--targets", read_targets,
      "servers that run already: NAME=ADDRESS,NAME=ADDRESS; what "
      "their processes use is then not measured");
  targets->type_name("LIST")->excludes(designs);
  command
      .add_option("SAVED", options.saved,
                  "two saved results of load or compare to compare instead of measuring")
      ->expected(2)
      ->excludes(designs)
      ->excludes(targets);
  command
      .add_option("--server", options.server,
                  "forkechod; else the one beside this program or in PATH")
      ->type_name("FILE")
      ->excludes(targets);
}

}  // namespace

void add_compare_command(CLI::App& app, Command& chosen) {
  auto* command =
      app.add_subcommand("compare", "Measure designs of a server, interleaved, in one table");
  const auto options = std::make_shared<CompareOptions>();
  add_server_options(*command, *options);
  command->add_option("--rounds", options->plan.rounds, "how often each design has its turn")
      ->check(CLI::Range(1U, most_rounds))
      ->capture_default_str();
  add_duration_option(*command, "--pause", options->plan.pause,
                      "between one server's turn and the next one's");
  add_plan_options(*command, options->plan.slice);
  auto* stevens = command->add_flag(
      "--stevens", options->stevens,
      "the load of Stevens' figure 30.1: 5,000 connections, 10 at once, 4,000 bytes each");
  for (const char* fixed :
       {"--connections", "--duration", "--requests", "--workload", "--size", "--warmup"}) {
    stevens->excludes(command->get_option(fixed));
  }
  add_result_file_option(*command, "--json", options->json_file,
                         "write the result as JSON to this file; - is standard output");
  add_result_file_option(*command, "--html", options->html_file,
                         "write the result as a page to this file; - is standard output");
  command->add_flag("--quiet", options->quiet, "no progress on the terminal");
  command->callback([options, &chosen] { chosen = [options] { return compare(*options); }; });
}

}  // namespace forkecho::client
