#include "client/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace forkecho::client {
namespace {

/// Digits behind the point that make three in all.
int decimals_for_three_digits(double value) {
  if (value == 0) return 0;
  const int before_point = static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
  return std::clamp(3 - before_point, 0, 12);
}

struct Unit {
  double size;
  std::string_view name;
};

/// In the largest unit of which there is at least one; 9.995 is 10.0, so the unit is chosen by the
/// value as it will be rounded.
template <std::size_t count>
std::string in_units(double value, const std::array<Unit, count>& largest_first) {
  for (const Unit& unit : largest_first) {
    const bool last = &unit == &largest_first.back();
    if (last || value >= unit.size * 0.9995) {
      return format_three_digits(value / unit.size) + " " + std::string(unit.name);
    }
  }
  return {};
}

}  // namespace

std::string format_count(double value) {
  const std::string digits = fmt::format("{:.0f}", std::abs(value));
  std::string text = value < 0 ? "-" : "";
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const std::size_t left = digits.size() - i;
    if (i > 0 && left % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string format_three_digits(double value) {
  if (std::abs(value) >= 999.5) return format_count(value);
  int decimals = decimals_for_three_digits(value);
  const double scale = std::pow(10, decimals);
  decimals = decimals_for_three_digits(std::round(value * scale) / scale);  // 9.996 is 10.0
  return fmt::format("{:.{}f}", value, decimals);
}

std::string format_latency(std::uint64_t ns) {
  static constexpr std::array<Unit, 4> units{{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}}};
  return ns < 1000 ? fmt::format("{} ns", ns) : in_units(static_cast<double>(ns), units);
}

std::string format_bytes(std::uint64_t bytes) {
  static constexpr std::array<Unit, 3> units{
      {{1024.0 * 1024 * 1024, "GiB"}, {1024.0 * 1024, "MiB"}, {1024, "KiB"}}};
  return bytes < 1024 ? fmt::format("{} B", bytes) : in_units(static_cast<double>(bytes), units);
}

std::string format_ratio(double ratio) {
  return fmt::format("{:.2f}×", ratio);
}

std::size_t display_width(const std::string& text) {
  // A code point begins at every byte that does not continue one (10xxxxxx).
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace forkecho::client
