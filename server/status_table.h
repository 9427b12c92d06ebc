// The status for a person, made of the JSON that the daemon answers: what matters first, at 80
// columns. Pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace forkecho::server {

/// Lines, each ended by a newline. Nothing here throws for a status of another version: what is not
/// there is not shown.
std::string to_table(const nlohmann::ordered_json& status);
/// What happened between two looks at one daemon, on one line: connections and bytes per second.
/// Empty when nothing can be said (another daemon, no time between).
std::string rates_line(const nlohmann::ordered_json& before, const nlohmann::ordered_json& now);

/// "1,234,567".
std::string with_thousands(std::uint64_t number);
/// "999 B", "1.2 KiB", "34 MiB": at most 8 characters.
std::string readable_bytes(std::uint64_t bytes);
/// "0.5 s", "12 s", "3 min", "4 h 05 min", "6 d 07 h"; for at least 0.
std::string readable_seconds(double seconds);

/// The first `rows` lines of `text`, the last of them "..." when some were left off.
std::string cut_to_rows(std::string_view text, std::size_t rows);

}  // namespace forkecho::server
