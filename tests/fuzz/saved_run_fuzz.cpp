// The JSON of a run or a comparison, as report, merge and compare read it.
#include <nlohmann/json.hpp>
#include <string>

#include "client/command.h"
#include "client/html_report.h"
#include "client/merge_documents.h"
#include "client/pair_comparison.h"
#include "client/saved_file.h"
#include "tests/fuzz/target.h"

namespace forkecho::fuzz {
namespace {

using namespace client;

bool is_one_line(const std::string& text) {
  return !text.empty() && text.find('\n') == std::string::npos;
}

void merge(const nlohmann::ordered_json& document) {
  try {
    const auto merged = merge_documents({document, document});
    require(!what_is_wrong_with(merged), "a merged run is a run");
  } catch (const CannotMerge& refusal) {
    require(is_one_line(refusal.what()), "a refusal is one line");
  }
}

void compare(const nlohmann::ordered_json& document) {
  try {
    const PairComparison pair = compare_documents(document, document);
    for (const PairFigure& figure : pair.figures) {
      require(figure.difference() == Difference::none || figure.difference() == Difference::unknown,
              "nothing differs from itself");
    }
    require(!pair_table(pair, "a", "b").empty(), "there is a table");
    require(!what_is_wrong_with(to_json(pair, "a", "b")), "a pair has a page");
  } catch (const CannotCompare& refusal) {
    require(is_one_line(refusal.what()), "a refusal is one line");
  }
}

}  // namespace

void fuzz(std::string_view input) {
  nlohmann::ordered_json document;
  try {
    document = parse_document("file", std::string(input));
  } catch (const UsageError& error) {
    require(is_one_line(error.what()), "an error is one line");
    return;
  }
  require(!html_report({document}).empty(), "there is a page");
  if (kind_of(document) == "run") merge(document);
  compare(document);
}

}  // namespace forkecho::fuzz
