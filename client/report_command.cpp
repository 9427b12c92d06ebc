#include "client/report_command.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/exit_code.h"
#include "client/html_report.h"
#include "client/options.h"
#include "client/saved_file.h"
#include "client/write_file.h"

namespace forkecho::client {
namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string html_file;
};

int report(const ReportOptions& options) {
  std::vector<nlohmann::ordered_json> documents;
  for (const std::string& path : options.runs) documents.push_back(read_document(path));
  write_file_whole(options.html_file, html_report(documents));
  return exit_good;
}

}  // namespace

void add_report_command(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand("report", "Make a page of saved results of load and compare");
  const auto options = std::make_shared<ReportOptions>();
  command->add_option("RUN", options->runs, "JSON files that load or compare wrote")->required();
  add_result_file_option(*command, "--html", options->html_file,
                         "where to write the page; - is standard output")
      ->required();
  command->callback([options, &chosen] { chosen = [options] { return report(*options); }; });
}

}  // namespace forkecho::client
