#include "client/start_moment.h"

#include <algorithm>
#include <cmath>

#include "client/interrupt.h"
#include "client/run_files.h"
#include "common/mp/wait.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

constexpr auto look_again = 1s;  // at the wall clock, which somebody may set
constexpr std::size_t most_whole_digits = 10;
constexpr std::size_t most_decimals = 9;

std::optional<std::int64_t> parse_digits(std::string_view text, std::size_t most) {
  if (text.empty() || text.size() > most) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

/// "1795262400.5"
std::optional<WallTime> parse_epoch(std::string_view text) {
  const std::size_t point = std::min(text.find('.'), text.size());
  const auto whole = parse_digits(text.substr(0, point), most_whole_digits);
  if (!whole) return std::nullopt;
  WallTime moment{std::chrono::seconds(*whole)};
  if (point == text.size()) return moment;
  const std::string_view decimals = text.substr(point + 1);
  const auto fraction = parse_digits(decimals, most_decimals);
  if (!fraction) return std::nullopt;
  std::int64_t ns = *fraction;
  for (std::size_t i = decimals.size(); i < most_decimals; ++i) ns *= 10;
  return moment + std::chrono::nanoseconds(ns);
}

}  // namespace

std::optional<WallTime> parse_start_moment(std::string_view text) {
  if (text.starts_with('@')) return parse_epoch(text.substr(1));
  std::string with_decimals(text);
  if (text.size() == std::string_view("2026-11-21T12:00:00Z").size() && text.ends_with('Z'))
    with_decimals.insert(with_decimals.size() - 1, ".000");
  const auto seconds = parse_utc(with_decimals);
  if (!seconds || *seconds < 0) return std::nullopt;
  return WallTime(std::chrono::milliseconds(std::llround(*seconds * 1000)));
}

std::string to_string(WallTime moment) {
  return format_utc(std::chrono::duration<double>(moment.time_since_epoch()).count());
}

WallTime wall_time_now() {
  return std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
}

sys::Clock::time_point monotonic(WallTime moment) {
  return sys::Clock::now() + (moment - wall_time_now());
}

bool wait_for_moment(WallTime moment) {
  InterruptWatch interrupts;
  for (;;) {
    const auto left = moment - wall_time_now();
    if (left <= left.zero()) return true;
    const auto deadline = sys::Deadline::after(std::min<sys::Duration>(left, look_again));
    if (mp::wait({interrupts.descriptor()}, deadline).empty()) continue;
    interrupts.take();
    return false;
  }
}

}  // namespace forkecho::client
