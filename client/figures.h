// Figures as a person reads them in a table or a sentence: with units, thousands apart, and three
// or so digits, since no measurement here is good for more. Pure functions.
#pragma once

#include <cstdint>
#include <string>

namespace forkecho::client {

/// "12,345"; rounded to a whole number.
std::string format_count(double value);
/// Three significant digits, or more before the point: "41.3", "181", "12,345", "0.0412", "0".
std::string format_three_digits(double value);
/// "250 ns", "41.3 µs", "1.23 ms", "2.50 s".
std::string format_latency(std::uint64_t ns);
/// "640 KiB", "9.4 MiB", "1.5 GiB".
std::string format_bytes(std::uint64_t bytes);
/// "0.97×"
std::string format_ratio(double ratio);

/// Columns that a text takes on a terminal, for the characters used here: one for each code point.
std::size_t display_width(const std::string& text);

}  // namespace forkecho::client
