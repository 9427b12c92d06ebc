// Durations as users write them: "500ms", "30s", "2m", "1.5h"; "0" is zero. Used by the command
// lines. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/sys/deadline.h"

namespace forkecho::sys {

/// Parses a non-negative decimal number followed by ns, us, ms, s, m or h; the unit may be missing
/// for zero alone. Empty on anything else, on a negative number and above 100 years.
std::optional<Duration> parse_duration(std::string_view text);

/// The shortest of these forms that is exact: "1500ms", "30s", "2m", "0".
std::string format_duration(Duration duration);

}  // namespace forkecho::sys
