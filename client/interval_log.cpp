#include "client/interval_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>

#include "client/hdr_encoding.h"

namespace forkecho::client {
namespace {

constexpr double year_s = 365 * 24 * 3600.0;
constexpr double ns_in_ms = 1e6;
constexpr double most_seconds = 1e12;  // no time of a log is beyond, whatever it counts from
constexpr std::string_view legend =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"";

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t begin = std::min(text.find_first_not_of(blanks), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

/// The text up to the next `separator`, which is taken away too.
std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

std::optional<double> parse_seconds(std::string_view text) {
  text = without_blanks(text);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return std::abs(value) <= most_seconds ? std::optional(value) : std::nullopt;
}

class LogReader {
 public:
  ReadLog read(std::string_view text) {
    for (unsigned number = 1; !text.empty(); ++number) {
      if (const auto wrong = read_line(without_blanks(take_until(text, '\n')))) {
        return {.intervals = {}, .error = fmt::format("line {}: {}", number, *wrong)};
      }
    }
    if (log_.intervals.empty()) return {.intervals = {}, .error = "there is no interval in it"};
    return std::move(log_);
  }

 private:
  /// What is wrong with the line.
  std::optional<std::string> read_line(std::string_view line) {
    if (line.empty() || line.front() == '"') return std::nullopt;
    return line.front() == '#' ? read_comment(line) : read_interval(line);
  }
  std::optional<std::string> read_comment(std::string_view line);
  std::optional<std::string> read_interval(std::string_view line);
  double base_for(double first_start);

  ReadLog log_;
  std::optional<double> start_time_;
  std::optional<double> base_time_;
};

std::optional<std::string> LogReader::read_comment(std::string_view line) {
  for (const auto& [name, time] :
       {std::pair("#[StartTime: ", &start_time_), std::pair("#[BaseTime: ", &base_time_)}) {
    if (!line.starts_with(name)) continue;
    line.remove_prefix(std::string_view(name).size());
    *time = parse_seconds(take_until(line, ' '));
    if (!*time) return "its time is no number of seconds";
  }
  return std::nullopt;
}

double LogReader::base_for(double first_start) {
  if (!base_time_) {
    base_time_ = start_time_ && first_start < *start_time_ - year_s ? *start_time_ : 0;
  }
  return *base_time_;
}

std::optional<std::string> LogReader::read_interval(std::string_view line) {
  constexpr std::string_view tag_mark = "Tag=";
  std::string tag;
  if (line.starts_with(tag_mark)) {
    tag = take_until(line, ',').substr(tag_mark.size());
    if (tag.find_first_of(" \t\r") != tag.npos) return "there is a blank in its tag";
  }
  const auto start = parse_seconds(take_until(line, ','));
  const auto length = parse_seconds(take_until(line, ','));
  const auto largest = parse_seconds(take_until(line, ','));
  if (!start || !length || !largest || *length < 0) {
    return "it is not of the form [Tag=NAME,]START,LENGTH,MAX,HISTOGRAM";
  }
  DecodedHdr decoded = decode_hdr(without_blanks(line));
  if (!decoded.histogram) return "its histogram cannot be read: " + decoded.error;
  log_.intervals.push_back({.tag = std::move(tag),
                            .start_s = base_for(*start) + *start,
                            .length_s = *length,
                            .histogram = std::move(*decoded.histogram)});
  return std::nullopt;
}

auto place_of(const LogInterval& interval) {
  return std::tuple(interval.start_s, std::string_view(interval.tag), interval.length_s);
}

}  // namespace

ReadLog read_interval_log(std::string_view text) {
  return LogReader().read(text);
}

std::string write_interval_log(const std::vector<LogInterval>& intervals, double start_s) {
  std::string text = fmt::format(
      "#[Logged with forkecho {0}; latencies in nanoseconds, Interval_Max in milliseconds]\n"
      "#[Histogram log format version 1.3]\n"
      "#[StartTime: {1:.3f} (seconds since epoch)]\n"
      "#[BaseTime: {1:.3f} (seconds since epoch)]\n"
      "{2}\n",
      FORKECHO_VERSION, start_s, legend);
  const double base = std::round(start_s * 1000) / 1000;  // as it stands in the comment
  for (const LogInterval& interval : intervals) {
    if (!interval.tag.empty()) text += "Tag=" + interval.tag + ",";
    const double offset = interval.start_s - base;
    text += fmt::format("{:.6f},{:.6f},{:.3f},{}\n", std::abs(offset) < 5e-7 ? 0 : offset,
                        interval.length_s, static_cast<double>(interval.histogram.max()) / ns_in_ms,
                        encode_hdr(interval.histogram));
  }
  return text;
}

std::vector<LogInterval> merge_logs(std::vector<LogInterval> intervals) {
  std::ranges::stable_sort(intervals, {}, place_of);
  std::vector<LogInterval> merged;
  for (LogInterval& interval : intervals) {
    const auto same = std::find_if(merged.rbegin(), merged.rend(), [&](const LogInterval& other) {
      return place_of(other) != place_of(interval) ||
             other.histogram.layout == interval.histogram.layout;
    });
    if (same != merged.rend() && place_of(*same) == place_of(interval)) {
      same->histogram.merge(interval.histogram);
    } else {
      merged.push_back(std::move(interval));
    }
  }
  return merged;
}

std::optional<HdrHistogram> sum_of(const std::vector<LogInterval>& intervals,
                                   std::string_view tag) {
  std::optional<HdrHistogram> sum;
  for (const LogInterval& interval : intervals) {
    if (interval.tag != tag) continue;
    if (!sum) {
      sum = interval.histogram;
    } else if (!sum->merge(interval.histogram)) {
      return std::nullopt;
    }
  }
  return sum;
}

}  // namespace forkecho::client
