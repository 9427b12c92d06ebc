// PairComparison: what two saved results say of each other, with intervals by the bootstrap. Used
// by `compare A.json B.json`.
//
// Decided 2026-11 (what is resampled): of a run, stretches of its timeline, each with all its
// latencies: seconds next to each other are not independent, so there are at most thirty stretches.
// That covers what varied within the runs and not what varies from run to run; it is said so. Of a
// comparison, its rounds, which are slices of their own.
//
// Pure; what is read may be anybody's.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/bootstrap.h"
#include "client/exit_code.h"

namespace forkecho::client {

/// The two cannot be compared: other settings, or something missing. One line without its full
/// stop.
struct CannotCompare : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

enum class FigureUnit { rate, latency };  // per second; nanoseconds

struct PairFigure {
  std::string name;  // "rate", "p99"; of comparisons the design's
  FigureUnit unit = FigureUnit::rate;
  std::optional<double> a;
  std::optional<double> b;
  std::optional<double> ratio;  // b over a
  std::optional<Interval> interval;
  Difference difference() const { return difference_of(interval); }
};

struct PairComparison {
  std::vector<PairFigure> figures{};
  std::vector<std::string> notes{};  // what a reader must know, without the full stop
  bool invalid = false;              // one of them
  bool wrong = false;                // a reply in one of them
};

/// Both are documents that what_is_wrong_with finds nothing wrong with. Throws CannotCompare.
PairComparison compare_documents(const nlohmann::ordered_json& a, const nlohmann::ordered_json& b);

/// For a terminal.
std::string pair_table(const PairComparison& pair, const std::string& a, const std::string& b);

/// {"schema":1,"kind":"pair","a":{"name"},"b":{"name"},"level",
///  "figures":[{"name","unit","a","b","ratio","interval":{"low","high"},"difference"}],"notes"}
nlohmann::ordered_json to_json(const PairComparison& pair, const std::string& a,
                               const std::string& b);

/// A wrong reply in either first, then INVALID.
ExitCode exit_code(const PairComparison& pair);

}  // namespace forkecho::client
