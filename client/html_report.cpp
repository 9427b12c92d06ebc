#include "client/html_report.h"

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "client/embedded_files.h"
#include "client/hdr_encoding.h"
#include "client/percentile_distribution.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;

/// A JSON pointer, and what must be there for the page to be drawn.
struct Part {
  const char* pointer;
  Json::value_t type;
};

constexpr std::array comparison_parts{
    Part{"/settings", Json::value_t::object}, Part{"/machine", Json::value_t::object},
    Part{"/findings", Json::value_t::array}, Part{"/notes", Json::value_t::array},
    Part{"/designs", Json::value_t::array}};
constexpr std::array run_parts{Part{"/target", Json::value_t::string},
                               Part{"/plan", Json::value_t::object},
                               Part{"/requests/failed", Json::value_t::object},
                               Part{"/connections/failed", Json::value_t::object},
                               Part{"/rate", Json::value_t::object},
                               Part{"/latency/from_intended", Json::value_t::object},
                               Part{"/latency/from_send", Json::value_t::object},
                               Part{"/verification", Json::value_t::object},
                               Part{"/totals", Json::value_t::object},
                               Part{"/generator", Json::value_t::object},
                               Part{"/timeline", Json::value_t::array}};

constexpr std::array pair_parts{
    Part{"/a/name", Json::value_t::string}, Part{"/b/name", Json::value_t::string},
    Part{"/figures", Json::value_t::array}, Part{"/notes", Json::value_t::array}};

template <std::size_t count>
std::optional<std::string> missing_part(const Json& document,
                                        const std::array<Part, count>& parts) {
  for (const auto& [pointer, type] : parts) {
    const Json::json_pointer place(pointer);
    if (!document.contains(place) || document[place].type() != type) {
      return std::string("its \"") + (pointer + 1) + "\" is missing or is something else";
    }
  }
  return std::nullopt;
}

std::optional<std::string> what_is_wrong_with_design(const Json& design) {
  if (!design.is_object() || !design.contains("name") || !design["name"].is_string()) {
    return "a design in it has no name";
  }
  if (!design.contains("rate") || design["rate"].is_null()) return std::nullopt;
  const bool whole = design.contains("latency") && design["latency"].is_object() &&
                     design["latency"].contains("from_intended") && design.contains("run") &&
                     design["run"].is_object();
  return whole
             ? missing_part(design["run"], run_parts)
             : std::optional("design " + design["name"].get<std::string>() + " in it is not whole");
}

/// Adds the curve of the histogram at `place`, if there is one.
void add_curve(Json& curves, const Json& document, const std::string& place) {
  const Json::json_pointer pointer("/" + place);
  if (!document.contains(pointer) || !document[pointer].is_object()) return;
  const Json hdr = document[pointer].value("hdr", Json());
  if (!hdr.is_string()) return;
  const DecodedHdr decoded = decode_hdr(hdr.get_ref<const std::string&>());
  if (!decoded.histogram) return;
  Json points = Json::array();
  for (const PercentilePoint& point : percentile_curve(*decoded.histogram)) {
    points.push_back({point.quantile, point.value});
  }
  curves[place] = std::move(points);
}

}  // namespace

Json percentile_curves(const std::vector<Json>& documents) {
  Json all = Json::array();
  for (const Json& document : documents) {
    Json curves = Json::object();
    for (const char* clock : {"latency/from_intended", "latency/from_send"}) {
      add_curve(curves, document, clock);
      const std::size_t designs = document.contains("designs") ? document["designs"].size() : 0;
      for (std::size_t i = 0; i < designs; ++i) {
        add_curve(curves, document, "designs/" + std::to_string(i) + "/" + clock);
      }
    }
    all.push_back(std::move(curves));
  }
  return all;
}

std::optional<std::string> what_is_wrong_with(const Json& document) {
  if (!document.is_object()) return "it is no JSON object";
  if (!document.contains("schema")) return "it has no \"schema\": it is not a result of forkecho";
  if (document["schema"] != 1) return "its schema is " + document["schema"].dump() + ", not 1";
  if (document.value("kind", Json("run")) == "pair") return missing_part(document, pair_parts);
  if (document.value("kind", Json("run")) != "comparison") return missing_part(document, run_parts);
  if (auto wrong = missing_part(document, comparison_parts)) return wrong;
  for (const Json& design : document["designs"]) {
    if (auto wrong = what_is_wrong_with_design(design)) return wrong;
  }
  return std::nullopt;
}

std::string escape_for_script(std::string json) {
  static constexpr std::string_view escaped = "\\u003c";
  for (std::size_t at = json.find('<'); at != json.npos; at = json.find('<', at + escaped.size())) {
    json.replace(at, 1, escaped);
  }
  return json;
}

std::string replace_marker(std::string text, std::string_view marker, std::string_view content) {
  const std::size_t at = text.find(marker);
  if (at == text.npos || text.find(marker, at + marker.size()) != text.npos) {
    throw std::logic_error("the page's template must hold " + std::string(marker) + " once");
  }
  return text.replace(at, marker.size(), content);
}

std::string html_report(const std::vector<Json>& documents) {
  // Chart.js first: its own text does not hold the other marker, but a document's could.
  std::string page =
      replace_marker(std::string(embedded_html_template()), "{{chart.js}}", embedded_chart_js());
  page = replace_marker(std::move(page), "{{curves}}", percentile_curves(documents).dump());
  return replace_marker(std::move(page), "{{documents}}",
                        escape_for_script(Json(documents).dump()));
}

}  // namespace forkecho::client
