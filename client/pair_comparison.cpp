#include "client/pair_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "client/figures.h"
#include "client/hdr_encoding.h"
#include "client/saved_file.h"
#include "client/statistics.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t most_stretches = 30;
constexpr std::size_t resamples = 2000;
constexpr std::array quantiles{std::pair("p50", 0.5), std::pair("p90", 0.9), std::pair("p99", 0.99),
                               std::pair("p99.9", 0.999)};

// --- settings
// -------------------------------------------------------------------------------------

void refuse_other_settings(const Json& a, const Json& b) {
  for (const Json* plan : {&a, &b}) {
    for (const auto& item : plan->items()) {
      const Json of_a = a.value(item.key(), Json());
      const Json of_b = b.value(item.key(), Json());
      // How many rounds there were is no property of the load.
      if (of_a == of_b || item.key() == "rounds" || item.key() == "rounds_done") continue;
      throw CannotCompare(
          fmt::format("their settings differ: {} is {} in the first and {} in the second",
                      item.key(), of_a.dump(), of_b.dump()));
    }
  }
}

void note_machines(const Json& a, const Json& b, PairComparison& pair) {
  if (a.value("machine", Json()) != b.value("machine", Json())) {
    pair.notes.emplace_back("they were measured on different machines");
  }
}

// --- runs
// -----------------------------------------------------------------------------------------

/// A part of a run: how long, and every latency in it.
struct Stretch {
  double length_s = 0;
  double completed = 0;
  HdrHistogram latencies;
};

Stretch stretch_of(const Json& point, double begin_s, const char* which) {
  const Json end = point.is_object() ? point.value("t_s", Json()) : Json();
  const Json completed = point.is_object() ? point.value("completed", Json()) : Json();
  if (!end.is_number() || !completed.is_number_unsigned()) {
    throw CannotCompare(fmt::format("a point of the {} timeline is not whole", which));
  }
  Stretch stretch{.length_s = end.get<double>() - begin_s,
                  .completed = completed.get<double>(),
                  .latencies = {}};
  if (stretch.completed == 0) return stretch;
  const Json hdr = point.value("hdr", Json());
  const DecodedHdr decoded =
      hdr.is_string() ? decode_hdr(hdr.get_ref<const std::string&>()) : DecodedHdr{};
  if (!decoded.histogram || decoded.histogram->layout != HdrLayout{}) {
    throw CannotCompare(
        fmt::format("a point of the {} timeline was saved without its latencies", which));
  }
  stretch.latencies = *decoded.histogram;
  return stretch;
}

void add(Stretch& sum, const Stretch& more) {
  sum.length_s += more.length_s;
  sum.completed += more.completed;
  sum.latencies.merge(more.latencies);
}

/// The timeline in at most thirty stretches of about the same number of points.
std::vector<Stretch> stretches_of(const Json& run, const char* which) {
  const Json timeline = run.value("timeline", Json());
  if (!timeline.is_array()) throw CannotCompare(fmt::format("the {} has no timeline", which));
  const std::size_t count = std::min(timeline.size(), most_stretches);
  std::vector<Stretch> stretches(count);
  double begin_s = 0;
  for (std::size_t i = 0; i < timeline.size(); ++i) {
    const Stretch point = stretch_of(timeline[i], begin_s, which);
    begin_s += point.length_s;
    add(stretches[i * count / timeline.size()], point);
  }
  return stretches;
}

/// Stretches with their latencies side by side, so that drawing some of them is fast.
class Resampling {
 public:
  explicit Resampling(const std::vector<Stretch>& stretches) : stretches_(stretches) {
    std::set<std::size_t> indices;
    for (const Stretch& stretch : stretches) {
      for (const auto& bucket : stretch.latencies.buckets) indices.insert(bucket.index);
    }
    indices_.assign(indices.begin(), indices.end());
    for (const Stretch& stretch : stretches) counts_.push_back(spread(stretch.latencies));
  }

  /// Rate and quantiles of the stretches at these places.
  std::vector<double> figures(const std::vector<std::size_t>& places) const {
    double length_s = 0;
    double completed = 0;
    std::vector<double> counts(indices_.size());
    for (const std::size_t place : places) {
      length_s += stretches_[place].length_s;
      completed += stretches_[place].completed;
      for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += counts_[place][i];
    }
    std::vector<double> figures{length_s > 0 ? completed / length_s : 0};
    for (const auto& [name, quantile] : quantiles) figures.push_back(value_at(counts, quantile));
    return figures;
  }
  std::size_t size() const { return stretches_.size(); }

 private:
  std::vector<double> spread(const HdrHistogram& histogram) const {
    std::vector<double> counts(indices_.size());
    for (const auto& [index, count] : histogram.buckets) {
      const auto at = std::ranges::lower_bound(indices_, index) - indices_.begin();
      counts[static_cast<std::size_t>(at)] = static_cast<double>(count);
    }
    return counts;
  }
  double value_at(const std::vector<double>& counts, double quantile) const {
    double all = 0;
    for (const double count : counts) all += count;
    const double rank = std::max(1.0, std::ceil(quantile * all));
    double seen = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      seen += counts[i];
      if (seen >= rank) return static_cast<double>(HdrLayout{}.highest_of(indices_[i]));
    }
    return 0;
  }

  const std::vector<Stretch>& stretches_;
  std::vector<std::size_t> indices_;
  std::vector<std::vector<double>> counts_;
};

std::vector<std::size_t> draw(std::mt19937_64& random, std::size_t count) {
  std::vector<std::size_t> places(count);
  for (std::size_t& place : places) place = static_cast<std::size_t>(random() % count);
  return places;
}

/// Figure by figure, the ratios that b over a has when both are drawn again.
std::vector<std::vector<double>> resampled_ratios(const Resampling& a, const Resampling& b) {
  std::mt19937_64 random(1);
  std::vector<std::vector<double>> ratios(1 + quantiles.size());
  for (std::size_t i = 0; i < resamples; ++i) {
    const auto of_a = a.figures(draw(random, a.size()));
    const auto of_b = b.figures(draw(random, b.size()));
    for (std::size_t figure = 0; figure < ratios.size(); ++figure) {
      if (of_a[figure] > 0) ratios[figure].push_back(of_b[figure] / of_a[figure]);
    }
  }
  return ratios;
}

std::optional<Interval> interval_of_ratios(std::vector<double> ratios, std::size_t stretches) {
  if (stretches < fewest_values(confidence) || ratios.size() < resamples) return std::nullopt;
  std::ranges::sort(ratios);
  return expanded_ends(ratios, stretches, confidence);
}

std::optional<double> number_at(const Json& document, const char* pointer) {
  const Json::json_pointer place(pointer);
  if (!document.contains(place) || !document[place].is_number()) return std::nullopt;
  return document[place].get<double>();
}

PairFigure figure_of(const Json& a, const Json& b, const char* name, FigureUnit unit,
                     const char* pointer) {
  PairFigure figure{.name = name,
                    .unit = unit,
                    .a = number_at(a, pointer),
                    .b = number_at(b, pointer),
                    .ratio = {},
                    .interval = {}};
  if (figure.a && figure.b && *figure.a > 0) figure.ratio = *figure.b / *figure.a;
  return figure;
}

void note_run(const Json& run, const char* which, PairComparison& pair) {
  if (run.value("generator", Json::object()).value("verdict", Json()) == "INVALID") {
    pair.invalid = true;
    pair.notes.push_back(fmt::format("the {} is INVALID", which));
  }
  const auto failed = run["requests"]["failed"];
  double failures = 0;
  for (const Json& count : failed) failures += count.is_number() ? count.get<double>() : 0;
  if (failures > 0) {
    pair.notes.push_back(
        fmt::format("the {} has {} failed requests", which, format_count(failures)));
  }
  double wrong = 0;
  for (const char* kind : {"mismatched", "short", "extra"}) {
    wrong += number_at(run, (std::string("/verification/") + kind).c_str()).value_or(0);
  }
  if (wrong > 0) {
    pair.wrong = true;
    pair.notes.push_back(fmt::format("the {} has {} wrong replies", which, format_count(wrong)));
  }
}

PairComparison compare_runs(const Json& a, const Json& b) {
  refuse_other_settings(a["plan"], b["plan"]);
  PairComparison pair;
  const auto stretches_a = stretches_of(a, "first");
  const auto stretches_b = stretches_of(b, "second");
  pair.figures = {figure_of(a, b, "rate", FigureUnit::rate, "/rate/achieved_rps"),
                  figure_of(a, b, "p50", FigureUnit::latency, "/latency/from_intended/p50"),
                  figure_of(a, b, "p90", FigureUnit::latency, "/latency/from_intended/p90"),
                  figure_of(a, b, "p99", FigureUnit::latency, "/latency/from_intended/p99"),
                  figure_of(a, b, "p99.9", FigureUnit::latency, "/latency/from_intended/p999")};
  const std::size_t fewer = std::min(stretches_a.size(), stretches_b.size());
  if (fewer >= fewest_values(confidence)) {
    auto ratios = resampled_ratios(Resampling(stretches_a), Resampling(stretches_b));
    for (std::size_t i = 0; i < ratios.size(); ++i) {
      pair.figures[i].interval = interval_of_ratios(std::move(ratios[i]), fewer);
    }
  } else {
    pair.notes.push_back(
        fmt::format("an interval needs runs of at least {} s", fewest_values(confidence)));
  }
  note_machines(a, b, pair);
  note_run(a, "first", pair);
  note_run(b, "second", pair);
  pair.notes.emplace_back(
      "the intervals say what varied within these runs, not what varies from run to run");
  return pair;
}

// --- comparisons
// ----------------------------------------------------------------------------------

std::vector<double> rounds_of(const Json& design) {
  std::vector<double> rounds;
  if (!design.contains("rate") || !design["rate"].is_object()) return rounds;
  for (const Json& round : design["rate"].value("rounds", Json::array())) {
    if (round.is_number() && round > 0) rounds.push_back(round.get<double>());
  }
  return rounds;
}

/// Of two medians whose rounds were not measured side by side.
std::optional<Interval> interval_of_medians(const std::vector<double>& a,
                                            const std::vector<double>& b) {
  const std::size_t fewer = std::min(a.size(), b.size());
  if (fewer < fewest_values(confidence)) return std::nullopt;
  std::mt19937_64 random(1);
  const auto drawn_median = [&](const std::vector<double>& values) {
    std::vector<double> drawn;
    for (const std::size_t place : draw(random, values.size())) drawn.push_back(values[place]);
    return *median(drawn);
  };
  std::vector<double> ratios(resamples);
  for (double& ratio : ratios) ratio = drawn_median(b) / drawn_median(a);
  std::ranges::sort(ratios);
  return expanded_ends(ratios, fewer, confidence);
}

const Json* find_design(const Json& comparison, const Json& name) {
  for (const Json& design : comparison["designs"]) {
    if (design["name"] == name) return &design;
  }
  return nullptr;
}

void add_design(const Json& of_a, const Json& of_b, PairComparison& pair) {
  const auto a = rounds_of(of_a);
  const auto b = rounds_of(of_b);
  PairFigure figure{.name = of_a["name"],
                    .a = median(a),
                    .b = median(b),
                    .ratio = {},
                    .interval = interval_of_medians(a, b)};
  if (figure.a && figure.b) figure.ratio = *figure.b / *figure.a;
  if (figure.ratio && !figure.interval) {
    pair.notes.push_back(fmt::format("{}: an interval needs at least {} rounds of each",
                                     figure.name, fewest_values(confidence)));
  }
  pair.figures.push_back(std::move(figure));
  for (const auto& [design, which] : {std::pair(&of_a, "first"), std::pair(&of_b, "second")}) {
    if (!design->contains("run") || !(*design)["run"].is_object()) continue;
    PairComparison of_run;
    note_run((*design)["run"], which, of_run);
    pair.wrong = pair.wrong || of_run.wrong;  // a full processor is no failure of a comparison
  }
}

PairComparison compare_comparisons(const Json& a, const Json& b) {
  refuse_other_settings(a["settings"], b["settings"]);
  PairComparison pair;
  for (const Json& design : a["designs"]) {
    if (const Json* other = find_design(b, design["name"])) add_design(design, *other, pair);
  }
  if (pair.figures.empty()) throw CannotCompare("they have no design in common");
  note_machines(a, b, pair);
  pair.notes.emplace_back(
      "their rounds were not interleaved: what disturbed one is in its figures");
  return pair;
}

std::string text_of(const std::optional<double>& value, FigureUnit unit) {
  if (!value) return "–";
  return unit == FigureUnit::rate ? format_three_digits(*value) + "/s"
                                  : format_latency(static_cast<std::uint64_t>(*value));
}

std::string padded(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, display_width(text)), ' ') + text;
}

std::string what_is_said(const PairFigure& figure) {
  if (!figure.interval) return "too few to say";
  if (figure.difference() == Difference::none) return "no difference";
  const bool more = figure.difference() == Difference::more;
  if (figure.unit == FigureUnit::latency) return more ? "B is slower" : "B is faster";
  return more ? "B does more" : "B does less";
}

}  // namespace

PairComparison compare_documents(const Json& a, const Json& b) {
  if (kind_of(a) != kind_of(b)) throw CannotCompare("they are results of different kinds");
  if (kind_of(a) == "pair") throw CannotCompare("they are comparisons of saved results themselves");
  return kind_of(a) == "comparison" ? compare_comparisons(a, b) : compare_runs(a, b);
}

std::string pair_table(const PairComparison& pair, const std::string& a, const std::string& b) {
  std::string text = fmt::format("A  {}\nB  {}\n\n", a, b);
  text += fmt::format("{:<16}{:>12}{:>12}{:>9}{:>16}\n", "", "A", "B", "B / A",
                      fmt::format("{:.0f} % interval", 100 * confidence));
  for (const PairFigure& figure : pair.figures) {
    const std::string interval =
        figure.interval ? fmt::format("{:.3f}–{:.3f}", figure.interval->low, figure.interval->high)
                        : "–";
    text += fmt::format("{:<16}", figure.name) + padded(text_of(figure.a, figure.unit), 12) +
            padded(text_of(figure.b, figure.unit), 12) +
            padded(figure.ratio ? fmt::format("{:.3f}×", *figure.ratio) : "–", 9) +
            padded(interval, 16) + "  " + what_is_said(figure) + "\n";
  }
  text += "\n";
  for (const std::string& note : pair.notes) text += "Note: " + note + ".\n";
  return text;
}

Json to_json(const PairComparison& pair, const std::string& a, const std::string& b) {
  const auto or_null = [](const std::optional<double>& value) {
    return value ? Json(*value) : Json(nullptr);
  };
  Json figures = Json::array();
  for (const PairFigure& figure : pair.figures) {
    figures.push_back({{"name", figure.name},
                       {"unit", figure.unit == FigureUnit::rate ? "per_second" : "ns"},
                       {"a", or_null(figure.a)},
                       {"b", or_null(figure.b)},
                       {"ratio", or_null(figure.ratio)},
                       {"interval", figure.interval ? Json{{"low", figure.interval->low},
                                                           {"high", figure.interval->high}}
                                                    : Json(nullptr)},
                       {"difference", to_string(figure.difference())}});
  }
  return {{"schema", 1},         {"kind", "pair"},     {"a", {{"name", a}}}, {"b", {{"name", b}}},
          {"level", confidence}, {"figures", figures}, {"notes", pair.notes}};
}

ExitCode exit_code(const PairComparison& pair) {
  if (pair.wrong) return exit_failed;
  return pair.invalid ? exit_invalid : exit_good;
}

}  // namespace forkecho::client
