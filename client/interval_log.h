// Interval logs of HdrHistogram, version 2 of their encoding (.hlog): what load writes with --hdr,
// and merge and tests read. Pure functions; what is read may be anybody's.
//
//   #[StartTime: 1441812279.474 (seconds since epoch)]
//   #[BaseTime: 1441812279.474 (seconds since epoch)]
//   "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
//   Tag=from_intended,0.000000,1.000000,2.769,HISTFAAAA…
//
// Times are in seconds; a line's start counts from BaseTime. Without BaseTime, as HdrHistogram's
// reader has it: from StartTime, if the first line's time is more than a year before that, else
// from the epoch.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/hdr_histogram.h"

namespace forkecho::client {

struct LogInterval {
  std::string tag;   // without commas, blanks and line ends; may be empty
  double start_s{};  // since the epoch
  double length_s{};
  HdrHistogram histogram;
};

struct ReadLog {
  std::vector<LogInterval> intervals;  // in the order of the file; at least one without an error
  std::string error;                   // one line without its full stop: "line 4: it is no base64"
};
ReadLog read_interval_log(std::string_view text);

/// The log of these, which starts at `start_s` (since the epoch). Interval_Max is in milliseconds
/// of values that are nanoseconds. Times are written to the microsecond.
std::string write_interval_log(const std::vector<LogInterval>& intervals, double start_s);

/// Everything that several logs say, by time: intervals of the same tag, time and layout become
/// one, all others stay as they are. Nothing is lost.
std::vector<LogInterval> merge_logs(std::vector<LogInterval> intervals);

/// All of a tag as one; empty when there is none, or two have different layouts.
std::optional<HdrHistogram> sum_of(const std::vector<LogInterval>& intervals, std::string_view tag);

}  // namespace forkecho::client
