// The page of a comparison or of runs: one self-contained HTML file that shows what their JSON
// says, and holds it. Used by compare, load and report. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace forkecho::client {

/// `documents` are comparisons, runs and pairs of schema 1 (check with what_is_wrong_with), shown
/// in this order.
std::string html_report(const std::vector<nlohmann::ordered_json>& documents);

/// Why the page cannot show this: no object, another schema, a part of it missing. One line without
/// its full stop; empty when it can.
std::optional<std::string> what_is_wrong_with(const nlohmann::ordered_json& document);

/// For each document, by the place of each histogram that is drawn, its points from the smallest
/// latency to the largest: {"latency/from_send":[[quantile,ns],...]}. What was not saved, or cannot
/// be read, is left out.
nlohmann::ordered_json percentile_curves(const std::vector<nlohmann::ordered_json>& documents);

/// JSON that may stand inside a script element: no "<" is left that could end it or open a comment.
std::string escape_for_script(std::string json);

/// `text` with the one `marker` in it replaced. Throws std::logic_error when it is not there
/// exactly once.
std::string replace_marker(std::string text, std::string_view marker, std::string_view content);

}  // namespace forkecho::client
