// A histogram in the JSON of a run: its figures for a person or a script, and all of it for those
// who merge, compare or draw. Pure functions; what is read may be anybody's.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "client/boxed.h"
#include "client/latency_histogram.h"

namespace forkecho::client {

/// {"count","min","mean","p50","p90","p99","p999","p9999","max","sum","hdr"}, times in nanoseconds;
/// of an empty histogram all but the count are null. "hdr" is every count, in HdrHistogram's V2
/// encoding (hdr_encoding.h).
nlohmann::ordered_json to_json(const LatencyHistogram& histogram);

/// True for an object of that form, by its keys alone.
bool is_histogram(const nlohmann::ordered_json& json);

struct ReadHistogram {
  std::optional<Boxed<LatencyHistogram>> histogram;
  std::string error;  // for a sentence: "its "hdr" cannot be read: it is no base64"
};
/// The very histogram that was written: count, minimum, maximum and sum are exact again.
ReadHistogram read_histogram(const nlohmann::ordered_json& json);

}  // namespace forkecho::client
