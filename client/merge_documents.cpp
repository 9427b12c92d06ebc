#include "client/merge_documents.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "client/hdr_encoding.h"
#include "client/histogram_json.h"
#include "client/run_files.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;
using Values = std::vector<Json>;  // of one key, run by run; null where a run has none

[[noreturn]] void refuse(std::size_t run, const std::string& why) {
  throw CannotMerge("run " + std::to_string(run + 1) + ": " + why);
}

Values values_of(const Values& objects, const std::string& key) {
  Values values;
  for (const Json& object : objects) {
    values.push_back(object.is_object() && object.contains(key) ? object[key] : Json(nullptr));
  }
  return values;
}

bool all_equal(const Values& values) {
  return std::ranges::all_of(values, [&](const Json& value) { return value == values.front(); });
}

Json the_same_or_null(const Values& values) {
  return all_equal(values) ? values.front() : Json(nullptr);
}

/// "a, b": each text once, in the order of the runs.
Json list_of(const Values& values) {
  std::vector<std::string> texts;
  for (const Json& value : values) {
    if (!value.is_string()) continue;
    const auto text = value.get<std::string>();
    if (std::ranges::find(texts, text) == texts.end()) texts.push_back(text);
  }
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + text;
  return list;
}

/// Objects key by key; null as soon as one run does not know a number.
Json sum_of(const Values& values) {
  if (values.front().is_object()) {
    Json sum = Json::object();
    for (const auto& item : values.front().items()) {
      sum[item.key()] = sum_of(values_of(values, item.key()));
    }
    return sum;
  }
  std::uint64_t sum = 0;
  for (const Json& value : values) {
    if (!value.is_number_unsigned()) return nullptr;
    sum += value.get<std::uint64_t>();
  }
  return sum;
}

Json merge_histograms(const Values& values, const std::string& name) {
  Boxed<LatencyHistogram> sum;
  for (std::size_t run = 0; run < values.size(); ++run) {
    const ReadHistogram read = read_histogram(values[run]);
    if (!read.histogram) refuse(run, "\"" + name + "\": " + read.error);
    sum->merge(**read.histogram);
  }
  return to_json(*sum);
}

// --- time
// -----------------------------------------------------------------------------------------

struct Span {
  double begin_s;  // since the epoch
  double end_s;
};

Span span_of(const Json& run, std::size_t place) {
  const auto begin = run.contains("started_at") && run["started_at"].is_string()
                         ? parse_utc(run["started_at"].get_ref<const std::string&>())
                         : std::nullopt;
  if (!begin) refuse(place, "its \"started_at\" is no time");
  const Json duration = run.value("duration_s", Json());
  if (!duration.is_number() || duration < 0) refuse(place, "its \"duration_s\" is no duration");
  return {*begin, *begin + duration.get<double>()};
}

/// How long at least one of them went on.
double union_of(std::vector<Span> spans) {
  std::ranges::sort(spans, {}, &Span::begin_s);
  double length = 0;
  double covered_to = spans.front().begin_s;
  for (const Span& span : spans) {
    const double begin = std::max(span.begin_s, covered_to);
    length += std::max(0.0, span.end_s - begin);
    covered_to = std::max(covered_to, span.end_s);
  }
  return length;
}

/// Whether any two went on at once for a tenth of the shorter: clocks of two machines that differ a
/// little do not make it so.
bool side_by_side(const std::vector<Span>& spans) {
  for (const Span& a : spans) {
    for (const Span& b : spans) {
      if (&a == &b) break;
      const double common = std::min(a.end_s, b.end_s) - std::max(a.begin_s, b.begin_s);
      const double shorter = std::min(a.end_s - a.begin_s, b.end_s - b.begin_s);
      if (common > 0.1 * shorter) return true;
    }
  }
  return false;
}

// --- the parts of a run
// ---------------------------------------------------------------------------

/// Of these each process has its own share when they go on at once.
constexpr std::array<const char*, 4> shares{"connections", "workers", "requests", "rate"};
/// Where several processes that run side by side may be set apart; the merged plan names all.
constexpr std::array<const char*, 2> places{"source", "pin"};
/// These say how long, not what.
constexpr std::array<const char*, 3> lengths{"duration_ns", "requests", "warmup_ns"};

template <typename Names>
bool among(const Names& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

Json sum_of_shares(const Values& values) {
  if (all_equal(values) && !values.front().is_number()) return values.front();
  double sum = 0;
  bool whole = true;
  for (const Json& value : values) {
    if (!value.is_number()) return nullptr;
    whole = whole && value.is_number_integer();
    sum += value.get<double>();
  }
  return whole ? Json(static_cast<std::uint64_t>(std::llround(sum))) : Json(sum);
}

Json merge_plans(const Values& plans, bool at_once) {
  Json merged = Json::object();
  for (std::size_t run = 1; run < plans.size(); ++run) {
    for (const auto& item : plans[run].items()) {
      if (!item.value().is_null() && !plans.front().contains(item.key()))
        refuse(run, "its plan has \"" + item.key() + "\"");
    }
  }
  for (const auto& item : plans.front().items()) {
    const std::string& key = item.key();
    const Values values = values_of(plans, key);
    if (at_once && among(shares, key)) {
      merged[key] = sum_of_shares(values);
    } else if (among(lengths, key)) {
      merged[key] = the_same_or_null(values);
    } else if (all_equal(values)) {
      merged[key] = values.front();
    } else if (at_once && among(places, key)) {
      merged[key] = list_of(values);
    } else {
      const auto other =
          std::ranges::find_if(values, [&](const Json& value) { return value != values.front(); });
      refuse(
          static_cast<std::size_t>(other - values.begin()),
          "its " + key + " is " + other->dump() + ", that of the first " + values.front().dump());
    }
  }
  return merged;
}

/// Something per second of each run, over the time of all.
Json merge_per_second(const Values& values, const std::vector<Span>& spans, double duration_s) {
  double sum = 0;
  for (std::size_t run = 0; run < values.size(); ++run) {
    if (!values[run].is_number()) return nullptr;
    const double share = duration_s > 0 ? (spans[run].end_s - spans[run].begin_s) / duration_s : 0;
    sum += values[run].get<double>() * share;
  }
  return sum;
}

Json merge_rates(const Values& rates, const std::vector<Span>& spans, double duration_s,
                 std::uint64_t completed) {
  const Json requested = merge_per_second(values_of(rates, "requested_rps"), spans, duration_s);
  const double achieved = duration_s > 0 ? static_cast<double>(completed) / duration_s : 0;
  return {{"requested_rps", requested}, {"achieved_rps", achieved}};
}

Json worst_lag(const Values& lags) {
  Json worst = lags.front();
  for (const Json& lag : lags) {
    if (!lag.is_object()) return nullptr;
    for (auto& item : worst.items()) {
      const Json value = lag.value(item.key(), Json());
      if (!value.is_number() || item.value().is_null()) {
        item.value() = nullptr;
      } else if (item.value().is_number()) {
        item.value() =
            std::max(item.value().get<double>(), value.get<double>()) == item.value().get<double>()
                ? item.value()
                : value;
      }
    }
  }
  return worst;
}

Json merge_throughputs(const Values& throughputs, const std::vector<Span>& spans,
                       double duration_s) {
  Json merged = Json::object();
  for (const char* key : {"out_bytes_per_s", "in_bytes_per_s"}) {
    merged[key] = merge_per_second(values_of(throughputs, key), spans, duration_s);
  }
  return merged;
}

/// Each once.
Json union_of_lists(const Values& lists) {
  Json all = Json::array();
  for (const Json& list : lists) {
    if (!list.is_array()) return nullptr;
    for (const Json& item : list) {
      if (std::ranges::find(all, item) == all.end()) all.push_back(item);
    }
  }
  return all;
}

Json merge_verdicts(const Values& verdicts) {
  bool valid = true;
  Json percents = Json::array();
  for (const Json& verdict : verdicts) {
    if (!verdict.is_object()) return nullptr;
    valid = valid && verdict.value("verdict", Json()) == "VALID";
    for (const Json& percent : verdict.value("cpu_percent", Json::array())) {
      percents.push_back(percent);
    }
  }
  return {{"verdict", valid ? "VALID" : "INVALID"},
          {"reasons", union_of_lists(values_of(verdicts, "reasons"))},
          {"cpu_percent", percents},
          {"lag", worst_lag(values_of(verdicts, "lag"))}};
}

// --- the timeline
// ---------------------------------------------------------------------------------

struct Point {
  double end_s;  // from the first run's begin
  Json json;
};

std::vector<Point> points_of(const Values& timelines, const std::vector<Span>& spans) {
  const double begin = std::ranges::min(spans, {}, &Span::begin_s).begin_s;
  std::vector<Point> points;
  for (std::size_t run = 0; run < timelines.size(); ++run) {
    if (!timelines[run].is_array()) refuse(run, "its \"timeline\" is no list");
    for (const Json& point : timelines[run]) {
      const Json end = point.is_object() ? point.value("t_s", Json()) : Json();
      if (!end.is_number() || std::abs(end.get<double>()) > 1e9) {
        refuse(run, "a point of its \"timeline\" has no time");
      }
      points.push_back({spans[run].begin_s - begin + end.get<double>(), point});
    }
  }
  std::ranges::stable_sort(points, {}, &Point::end_s);
  return points;
}

/// The latencies of points of one second; empty when one of them was not saved.
std::optional<HdrHistogram> latencies_of(const Values& points) {
  HdrHistogram sum;
  for (const Json& point : points) {
    if (point.value("completed", Json()) == 0) continue;
    const Json hdr = point.value("hdr", Json());
    if (!hdr.is_string()) return std::nullopt;
    const DecodedHdr decoded = decode_hdr(hdr.get_ref<const std::string&>());
    if (!decoded.histogram || !sum.merge(*decoded.histogram)) return std::nullopt;
  }
  return sum;
}

Json merge_points(double end_s, const Values& points) {
  Json merged = {{"t_s", end_s},
                 {"completed", sum_of(values_of(points, "completed"))},
                 {"errors", sum_of(values_of(points, "errors"))}};
  const auto latencies = latencies_of(points);
  const bool known = latencies && !latencies->buckets.empty();
  merged["p50"] = known ? Json(latencies->value_at_quantile(0.5)) : Json(nullptr);
  merged["p99"] = known ? Json(latencies->value_at_quantile(0.99)) : Json(nullptr);
  merged["hdr"] = known ? Json(encode_hdr(*latencies)) : Json(nullptr);
  // Null where a run of an older version does not know.
  for (const char* kind : {"refused", "timeout", "reset", "short", "wrong", "other"}) {
    merged[kind] = sum_of(values_of(points, kind));
  }
  return merged;
}

/// Points that end in the same second become one.
Json merge_timelines(const Values& timelines, const std::vector<Span>& spans) {
  std::map<std::int64_t, std::pair<double, Values>> seconds;
  for (Point& point : points_of(timelines, spans)) {
    auto& [end_s, points] = seconds[std::llround(point.end_s)];
    end_s = point.end_s;
    points.push_back(std::move(point.json));
  }
  Json merged = Json::array();
  for (const auto& [second, bin] : seconds) merged.push_back(merge_points(bin.first, bin.second));
  return merged;
}

/// What this program knows nothing of: histograms are added up wherever they are, the rest stays
/// where it is the same in every run.
Json merge_unknown(const Values& values, const std::string& name) {
  if (std::ranges::all_of(values, is_histogram)) return merge_histograms(values, name);
  if (std::ranges::all_of(values, [](const Json& value) { return value.is_object(); })) {
    Json merged = Json::object();
    for (const auto& item : values.front().items()) {
      merged[item.key()] = merge_unknown(values_of(values, item.key()), name + "/" + item.key());
    }
    return merged;
  }
  return the_same_or_null(values);
}

class Merging {
 public:
  explicit Merging(const Values& runs) : runs_(runs) {
    for (std::size_t run = 0; run < runs.size(); ++run) spans_.push_back(span_of(runs[run], run));
    duration_s_ = union_of(spans_);
  }

  Json merged() const {
    Json merged = Json::object();
    for (const auto& item : runs_.front().items()) {
      merged[item.key()] = part(item.key(), values_of(runs_, item.key()));
    }
    merged["merged_from"] = runs_.size();
    return merged;
  }

 private:
  Json part(const std::string& key, const Values& values) const;

  const Values& runs_;
  std::vector<Span> spans_;
  double duration_s_ = 0;
};

Json Merging::part(const std::string& key, const Values& values) const {
  constexpr std::array sums{"connections", "requests", "totals", "verification"};
  if (among(sums, key)) return sum_of(values);
  if (key == "target" || key == "address") return list_of(values);
  if (key == "plan") return merge_plans(values, side_by_side(spans_));
  if (key == "started_at") {
    return format_utc(std::ranges::min(spans_, {}, &Span::begin_s).begin_s);
  }
  if (key == "duration_s") return duration_s_;
  if (key == "rate") {
    const Json completed = sum_of(values_of(values_of(runs_, "requests"), "completed"));
    return merge_rates(values, spans_, duration_s_,
                       completed.is_number() ? completed.get<std::uint64_t>() : 0);
  }
  if (key == "generator") return merge_verdicts(values);
  if (key == "server") return nullptr;
  if (key == "timeline") return merge_timelines(values, spans_);
  if (key == "throughput") return merge_throughputs(values, spans_, duration_s_);
  if (key == "warnings") return union_of_lists(values);
  if (key == "interrupted") return std::ranges::find(values, Json(true)) != values.end();
  if (key == "latency" || key == "connect" || key == "first_byte" || key == "close") {
    Json merged = key == "latency" ? Json::object() : merge_histograms(values, key);
    if (key != "latency") return merged;
    for (const char* clock : {"from_intended", "from_send"}) {
      merged[clock] = merge_histograms(values_of(values, clock), "latency/" + std::string(clock));
    }
    return merged;
  }
  return merge_unknown(values, key);
}

}  // namespace

Json merge_documents(const std::vector<Json>& runs) {
  return runs.size() == 1 ? runs.front() : Merging(runs).merged();
}

}  // namespace forkecho::client
