#include "client/merge_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "client/exit_code.h"
#include "client/figures.h"
#include "client/html_report.h"
#include "client/interval_log.h"
#include "client/load.h"
#include "client/merge_documents.h"
#include "client/options.h"
#include "client/result_files.h"
#include "client/run_folder.h"
#include "client/saved_file.h"
#include "client/write_file.h"
#include "common/sys/duration.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;

struct MergeOptions {
  std::vector<std::string> runs;  // files and folders
  std::string output;
  std::string html;
  std::size_t wait_for_runs = 0;  // in the one folder; 0: what is there
  sys::Duration timeout = std::chrono::minutes(1);
  std::optional<WallTime> start_at;
  bool judge = false;
};

struct NamedText {
  std::string path;
  std::string text;
};

/// JSON begins with a bracket, a log never does.
bool is_log(const NamedText& file) {
  const std::size_t first = file.text.find_first_not_of(" \t\r\n");
  return first != file.text.npos && file.text[first] != '{' && file.text[first] != '[';
}

std::string merge_logs_of(const std::vector<NamedText>& files) {
  std::vector<LogInterval> all;
  for (const NamedText& file : files) {
    if (!is_log(file)) throw UsageError(file.path + ": a log and a JSON cannot be merged");
    ReadLog log = read_interval_log(file.text);
    if (!log.error.empty()) throw UsageError(file.path + ": " + log.error);
    std::ranges::move(log.intervals, std::back_inserter(all));
  }
  const double start_s = std::ranges::min(all, {}, &LogInterval::start_s).start_s;
  return write_interval_log(merge_logs(std::move(all)), start_s);
}

Json merge_runs_of(const std::vector<NamedText>& files) {
  std::vector<Json> runs;
  for (const NamedText& file : files) {
    if (is_log(file) && read_interval_log(file.text).error.empty()) {
      throw UsageError(file.path + ": a log and a JSON cannot be merged");
    }
    runs.push_back(parse_document(file.path, file.text));
    if (kind_of(runs.back()) != "run") {
      throw UsageError(file.path + ": this is a comparison; only runs can be merged");
    }
  }
  try {
    return merge_documents(runs);
  } catch (const CannotMerge& error) {
    throw UsageError(error.what());
  }
}

/// The end is counted from the moment at which the runs begin, where that is known.
sys::Deadline deadline_of(const MergeOptions& options) {
  const auto begin = options.start_at ? std::max(sys::Clock::now(), monotonic(*options.start_at))
                                      : sys::Clock::now();
  return sys::Deadline::at(begin + options.timeout);
}

std::vector<std::string> runs_of_folder(const std::string& folder, const MergeOptions& options) {
  if (options.wait_for_runs == 0) {
    auto runs = runs_in(folder, options.start_at);
    if (runs.empty()) throw UsageError(folder + ": there is no run in this folder");
    return runs;
  }
  auto runs = wait_for_runs(folder, options.wait_for_runs, options.start_at, deadline_of(options));
  if (runs.size() < options.wait_for_runs) {
    throw NothingAnswered(fmt::format("{}: {} of {} runs came within {}", folder, runs.size(),
                                      options.wait_for_runs,
                                      sys::format_duration(options.timeout)));
  }
  if (runs.size() > options.wait_for_runs) {
    throw UsageError(
        fmt::format("{}: there are {} runs instead of {}; name the one load that is "
                    "meant with --start-at, or empty the folder",
                    folder, runs.size(), options.wait_for_runs));
  }
  return runs;
}

std::vector<std::string> files_of(const MergeOptions& options) {
  std::vector<std::string> files;
  for (const std::string& path : options.runs) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (std::string& run : runs_of_folder(path, options)) files.push_back(std::move(run));
  }
  return files;
}

std::uint64_t count_in(const Json& run, const char* place) {
  const Json value = run.value(Json::json_pointer(place), Json());
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

std::uint64_t sum_in(const Json& run, const char* place) {
  std::uint64_t sum = 0;
  const Json counts = run.value(Json::json_pointer(place), Json::object());
  for (const auto& item : counts.items()) {
    if (item.value().is_number_unsigned()) sum += item.value().get<std::uint64_t>();
  }
  return sum;
}

/// As far as a document tells, what exit_code() says of the run itself.
int judge(const Json& run) {
  const Json verification = run.value("verification", Json::object());
  for (const char* kind : {"mismatched", "short", "extra"}) {
    if (verification.value(kind, 0U) > 0) return exit_failed;
  }
  if (run.value(Json::json_pointer("/generator/verdict"), Json()) != "VALID") return exit_invalid;
  const std::uint64_t failed = sum_in(run, "/requests/failed") + sum_in(run, "/connections/failed");
  return failed > 0 || count_in(run, "/requests/completed") == 0 ? exit_failed : exit_good;
}

std::string in_a_few_lines(const Json& run, std::size_t runs) {
  const auto count = [&run](const char* place) {
    return format_count(static_cast<double>(count_in(run, place)));
  };
  const auto latency = [&run](const char* quantile) {
    const Json value = run["latency"]["from_intended"].value(quantile, Json());
    return value.is_number() ? format_latency(value.get<std::uint64_t>()) : std::string("–");
  };
  return fmt::format(
      "{} runs of {}, begun at {}, {:.1f} s\n"
      "requests   {} completed, {} failed; {} per second\n"
      "replies    {} compared, {} wrong, {} too short, {} with extra bytes\n"
      "latency    p50 {}, p99 {}, max {}, from the intended start\n"
      "in all     {} connections, {} requests, {} bytes out, {} bytes in, with the warm-up\n"
      "generator  {}\n",
      runs, run["target"].get<std::string>(), run["started_at"].get<std::string>(),
      run["duration_s"].get<double>(), count("/requests/completed"),
      format_count(static_cast<double>(sum_in(run, "/requests/failed") +
                                       sum_in(run, "/connections/failed"))),
      format_count(run["rate"]["achieved_rps"].get<double>()), count("/verification/checked"),
      count("/verification/mismatched"), count("/verification/short"), count("/verification/extra"),
      latency("p50"), latency("p99"), latency("max"), count("/totals/connections"),
      count("/totals/requests"), count("/totals/bytes_out"), count("/totals/bytes_in"),
      run["generator"].value("verdict", "unknown"));
}

int write_runs(const std::vector<NamedText>& files, const MergeOptions& options) {
  const Json merged = merge_runs_of(files);
  write_file_whole(options.output, merged.dump(2) + '\n');
  if (!options.html.empty()) write_file_whole(options.html, html_report({merged}));
  const bool tells = options.output != "-" && options.html != "-";
  if (tells) std::fputs(in_a_few_lines(merged, files.size()).c_str(), stdout);
  return options.judge ? judge(merged) : exit_good;
}

int merge(const MergeOptions& options) {
  check_result_files(std::array{options.output, options.html});
  std::vector<NamedText> files;
  for (const std::string& path : files_of(options)) files.push_back({path, read_whole_file(path)});
  if (!is_log(files.front())) return write_runs(files, options);
  if (!options.html.empty()) throw UsageError("--html is made of JSON, not of logs");
  write_file_whole(options.output, merge_logs_of(files));
  return exit_good;
}

}  // namespace

void add_merge_command(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand(
      "merge", "Make one run of several, of other processes or machines; nothing is lost");
  const auto options = std::make_shared<MergeOptions>();
  command
      ->add_option("RUN", options->runs,
                   "JSON files or interval logs (.hlog) that load wrote, or a folder of such JSON")
      ->required();
  add_result_file_option(*command, "-o,--output", options->output,
                         "where to write the one; - is standard output")
      ->required();
  add_result_file_option(*command, "--html", options->html, "also write it as a page to this file");
  command
      ->add_option("--wait-for-runs", options->wait_for_runs,
                   "wait until the folder holds so many runs")
      ->check(CLI::Range(1, 100'000));
  add_duration_option(*command, "--timeout", options->timeout,
                      "how long to wait for them, from --start-at on if that is given",
                      Zero::refused);
  add_start_at_option(*command, options->start_at,
                      "of a folder, take the runs that began at this moment alone");
  command->add_flag("--judge", options->judge,
                    "end with the exit code that load would have for the whole");
  command->callback([options, &chosen] { chosen = [options] { return merge(*options); }; });
}

}  // namespace forkecho::client
