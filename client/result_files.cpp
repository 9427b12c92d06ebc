#include "client/result_files.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>

#include "client/command.h"
#include "client/html_report.h"
#include "client/options.h"
#include "client/run_files.h"
#include "client/run_json.h"
#include "client/write_file.h"
#include "common/sys/host_name.h"

namespace forkecho::client {
namespace {

std::array<std::string, 5> names_in(const ResultFiles& files) {
  return {files.json, files.csv, files.hdr, files.hgrm, files.html};
}

}  // namespace

void check_result_files(std::span<const std::string> names) {
  for (auto name = names.begin(); name != names.end(); ++name) {
    if (name->empty()) continue;
    if (std::find(std::next(name), names.end(), *name) != names.end())
      throw UsageError("two results cannot both be written to '" + *name + "'");
    check_writable(*name);
  }
}

void ResultFiles::check() const {
  check_result_files(names_in(*this));
}

bool ResultFiles::take_standard_output() const {
  return std::ranges::count(names_in(*this), "-") > 0;
}

void ResultFiles::write(const RunResult& result) const {
  const auto document = to_json(result);
  if (!json.empty()) write_file_whole(json, document.dump(2) + '\n');
  if (!csv.empty()) write_file_whole(csv, csv_of(result));
  if (!hdr.empty()) write_file_whole(hdr, interval_log_of(result));
  if (!hgrm.empty()) write_file_whole(hgrm, percentile_text_of(result));
  if (!html.empty()) write_file_whole(html, html_report({document}));
}

void ResultFiles::fill_in_host() {
  for (std::string* name : {&json, &csv, &hdr, &hgrm, &html}) *name = sys::with_host_name(*name);
}

void add_result_files_options(CLI::App& command, ResultFiles& files) {
  add_result_file_option(
      command, "--json", files.json,
      "write the result as JSON to this file; - is standard output; {host} in a name "
      "is this host's");
  add_result_file_option(command, "--csv", files.csv,
                         "write what each second brought as a table to this file");
  add_result_file_option(command, "--hdr", files.hdr,
                         "write every latency as an interval log of HdrHistogram (.hlog)");
  add_result_file_option(command, "--hgrm", files.hgrm,
                         "write the latencies by percentile, for HdrHistogram's plots (.hgrm)");
  add_result_file_option(command, "--html", files.html,
                         "write the result as a page to this file; - is standard output");
}

}  // namespace forkecho::client
