#include "common/sys/duration.h"

#include <array>
#include <charconv>
#include <cmath>

namespace forkecho::sys {
namespace {

struct Unit {
  std::string_view name;
  long long nanoseconds;
};

// Longest first: format_duration takes the first that divides.
constexpr std::array<Unit, 6> units{{{"h", 3'600'000'000'000},
                                     {"m", 60'000'000'000},
                                     {"s", 1'000'000'000},
                                     {"ms", 1'000'000},
                                     {"us", 1'000},
                                     {"ns", 1}}};

constexpr double longest_ns = 100.0 * 365.25 * 24 * 3600 * 1e9;

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  double number = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(number) || std::signbit(number)) return std::nullopt;

  const std::string_view unit_name(rest, static_cast<std::size_t>(end - rest));
  if (unit_name.empty()) return number == 0 ? std::optional(Duration::zero()) : std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name != unit_name) continue;
    const double nanoseconds = number * static_cast<double>(unit.nanoseconds);
    if (nanoseconds > longest_ns) return std::nullopt;
    return Duration(std::llround(nanoseconds));
  }
  return std::nullopt;
}

std::string format_duration(Duration duration) {
  if (duration == Duration::zero()) return "0";
  for (const Unit& unit : units) {
    if (duration.count() % unit.nanoseconds == 0) {
      return std::to_string(duration.count() / unit.nanoseconds).append(unit.name);
    }
  }
  return {};  // not reached: every count is a multiple of one nanosecond
}

}  // namespace forkecho::sys
