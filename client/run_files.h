// A run as the files of other tools: HdrHistogram's interval log and percentile distribution, and a
// table for a spreadsheet. Used by load. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/run_result.h"

namespace forkecho::client {

/// The .hlog of a run. The tag from_intended has an interval for each point of the timeline;
/// from_send, connect, first_byte and close have one for the whole measured part, if they have
/// anything. Together, those of a tag are the histogram in the JSON.
std::string interval_log_of(const RunResult& result);

/// The .hgrm of a run: latencies from the intended start, in milliseconds.
std::string percentile_text_of(const RunResult& result);

/// The timeline, a row for each point: "t_s,completed,errors,p50_ns,p99_ns". A quantile of a point
/// in which nothing was completed is left empty.
std::string csv_of(const RunResult& result);

/// Seconds since the epoch of "2024-01-31T12:00:00.000Z"; empty for any other form.
std::optional<double> parse_utc(std::string_view text);
/// The form that parse_utc takes; `seconds` is at least 0.
std::string format_utc(double seconds);

}  // namespace forkecho::client
