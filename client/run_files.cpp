#include "client/run_files.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <vector>

#include "client/hdr_encoding.h"
#include "client/interval_log.h"
#include "client/percentile_distribution.h"

namespace forkecho::client {
namespace {

namespace chrono = std::chrono;

void add_whole(std::vector<LogInterval>& intervals, const char* tag,
               const LatencyHistogram& histogram, double start_s, double length_s) {
  if (histogram.count() == 0) return;
  intervals.push_back(
      {.tag = tag, .start_s = start_s, .length_s = length_s, .histogram = to_hdr(histogram)});
}

void add_timeline(std::vector<LogInterval>& intervals, const RunResult& result, double start_s) {
  double begin = 0;
  for (const TimelinePoint& point : result.timeline) {
    if (!point.hdr.empty()) {
      intervals.push_back({.tag = "from_intended",
                           .start_s = start_s + begin,
                           .length_s = point.t_s - begin,
                           .histogram = decode_hdr(point.hdr).histogram.value()});
    }
    begin = point.t_s;
  }
}

}  // namespace

std::string interval_log_of(const RunResult& result) {
  const double start_s = parse_utc(result.started_at).value_or(0);
  std::vector<LogInterval> intervals;
  add_whole(intervals, "from_send", *result.from_send, start_s, result.duration_s);
  add_whole(intervals, "connect", *result.connect, start_s, result.duration_s);
  add_whole(intervals, "first_byte", *result.first_byte, start_s, result.duration_s);
  add_whole(intervals, "close", *result.close, start_s, result.duration_s);
  add_timeline(intervals, result, start_s);
  return write_interval_log(intervals, start_s);
}

std::string percentile_text_of(const RunResult& result) {
  return percentile_text(to_hdr(*result.from_intended));
}

std::string csv_of(const RunResult& result) {
  std::string text = "t_s,completed,errors,p50_ns,p99_ns\n";
  for (const TimelinePoint& point : result.timeline) {
    text += fmt::format("{:.3f},{},{},", point.t_s, point.completed, point.errors);
    text += point.completed == 0 ? "," : fmt::format("{},{}", point.p50_ns, point.p99_ns);
    text += '\n';
  }
  return text;
}

std::optional<double> parse_utc(std::string_view text) {
  constexpr std::string_view form = "2024-01-31T12:00:00.000Z";
  if (text.size() != form.size()) return std::nullopt;
  for (std::size_t i = 0; i < form.size(); ++i) {
    const bool digit = form[i] >= '0' && form[i] <= '9';
    if (digit ? text[i] < '0' || text[i] > '9' : text[i] != form[i]) return std::nullopt;
  }
  const auto number = [&](std::size_t at, std::size_t length) {
    unsigned value = 0;
    for (const char c : text.substr(at, length)) value = value * 10 + unsigned(c - '0');
    return value;
  };
  const chrono::year_month_day day{chrono::year(static_cast<int>(number(0, 4))),
                                   chrono::month(number(5, 2)), chrono::day(number(8, 2))};
  if (!day.ok() || number(11, 2) > 23 || number(14, 2) > 59 || number(17, 2) > 60) {
    return std::nullopt;
  }
  const auto days = chrono::sys_days(day).time_since_epoch().count();
  const std::int64_t seconds =
      std::int64_t{days} * 86400 + number(11, 2) * 3600 + number(14, 2) * 60 + number(17, 2);
  return static_cast<double>(seconds) + number(20, 3) / 1000.0;
}

std::string format_utc(double seconds) {
  const auto ms = static_cast<std::int64_t>(std::llround(seconds * 1000));
  const chrono::sys_time<chrono::milliseconds> moment{chrono::milliseconds(ms)};
  const auto midnight = chrono::floor<chrono::days>(moment);
  const chrono::year_month_day day{midnight};
  const chrono::hh_mm_ss time{moment - midnight};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(day.year()),
                     static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count(),
                     time.subseconds().count());
}

}  // namespace forkecho::client
