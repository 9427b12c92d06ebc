#include "client/merge_command.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/exit_code.h"
#include "client/interval_log.h"
#include "client/merge_documents.h"
#include "client/options.h"
#include "client/saved_file.h"
#include "client/write_file.h"

namespace forkecho::client {
namespace {

struct MergeOptions {
  std::vector<std::string> runs;
  std::string output;
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

std::string merge_runs_of(const std::vector<NamedText>& files) {
  std::vector<nlohmann::ordered_json> runs;
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
    return merge_documents(runs).dump(2) + '\n';
  } catch (const CannotMerge& error) {
    throw UsageError(error.what());
  }
}

int merge(const MergeOptions& options) {
  check_writable(options.output);
  std::vector<NamedText> files;
  for (const std::string& path : options.runs) files.push_back({path, read_whole_file(path)});
  const bool logs = is_log(files.front());
  write_file_whole(options.output, logs ? merge_logs_of(files) : merge_runs_of(files));
  return exit_good;
}

}  // namespace

void add_merge_command(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand(
      "merge", "Make one run of several, of other processes or machines; nothing is lost");
  const auto options = std::make_shared<MergeOptions>();
  command->add_option("RUN", options->runs, "JSON files or interval logs (.hlog) that load wrote")
      ->required();
  add_result_file_option(*command, "-o,--output", options->output,
                         "where to write the one; - is standard output")
      ->required();
  command->callback([options, &chosen] { chosen = [options] { return merge(*options); }; });
}

}  // namespace forkecho::client
