#include "client/saved_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client/command.h"
#include "client/html_report.h"

namespace forkecho::client {

std::string read_whole_file(const std::string& path) {
  const std::ifstream file(path, std::ios::binary);
  if (!file) throw UsageError(path + ": " + std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();  // of a folder, nothing: it is told apart by holding no result
  return text.str();
}

nlohmann::ordered_json parse_document(const std::string& path, const std::string& text) {
  auto document = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) throw UsageError(path + ": this is no JSON");
  if (const auto wrong = what_is_wrong_with(document)) throw UsageError(path + ": " + *wrong);
  return document;
}

nlohmann::ordered_json read_document(const std::string& path) {
  return parse_document(path, read_whole_file(path));
}

std::string kind_of(const nlohmann::ordered_json& document) {
  const auto kind = document.value("kind", nlohmann::ordered_json("run"));
  return kind == "comparison" || kind == "pair" ? kind.get<std::string>() : "run";
}

}  // namespace forkecho::client
