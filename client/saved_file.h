// Files that load and compare wrote, read again: by report, merge and compare. What is wrong with
// one is one line that names the file, as a UsageError.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace forkecho::client {

/// The whole file. Throws UsageError.
std::string read_whole_file(const std::string& path);

/// The JSON of a run or a comparison, schema 1, from the text of the file `path`. Throws
/// UsageError.
nlohmann::ordered_json parse_document(const std::string& path, const std::string& text);

/// Both. Throws UsageError.
nlohmann::ordered_json read_document(const std::string& path);

/// "run", "comparison" or "pair", of a document that what_is_wrong_with finds nothing wrong with.
std::string kind_of(const nlohmann::ordered_json& document);

}  // namespace forkecho::client
