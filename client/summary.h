// The result of a run as text that a person can read and paste. A pure function.
#pragma once

#include <cstdint>
#include <string>

#include "client/run_result.h"

namespace forkecho::client {

/// Several lines, each ended by a newline.
std::string summary(const RunResult& result);

/// A time as people write it, three digits: "87 ns", "12.3 µs", "1.25 ms", "5.00 s".
std::string readable_time(std::uint64_t ns);
/// "512 B", "4.0 KiB", "1.2 GiB".
std::string readable_bytes(std::uint64_t bytes);

}  // namespace forkecho::client
