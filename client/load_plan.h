// LoadPlan: what a load run shall do, as the user asked for it. Made by the command line (load) and
// by compare; read by run_load, and written into the JSON of the run.
//
// A value type; safe everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/sys/deadline.h"

namespace forkecho::client {

enum class Workload {
  rr,   // request, whole reply, next request, on connections that are held
  crr,  // connect, one request, its whole reply, half-close, end of file, close
};

enum class Payload {
  ascii,    // letters, digits and spaces
  unicode,  // text of many scripts whose uppercase Python has told us (unicode_pairs.h)
};

/// What the server does to the text, so what a right reply is.
enum class Expect {
  unicode,  // Python's str.upper()
  ascii,    // a-z to A-Z, nothing else
  none,     // the reply is the request (RFC 862)
};

struct LoadPlan {
  std::string target;         // HOST:PORT, [V6]:PORT or unix:PATH
  unsigned connections = 10;  // held at once over all workers, at least 1
  unsigned workers = 0;       // load processes; 0 = as many as processors
  sys::Duration duration =
      std::chrono::seconds(10);  // of the measured part; unread if requests > 0
  std::uint64_t requests = 0;    // measured requests; 0 = by duration
  Workload workload = Workload::rr;
  std::size_t size = 64;  // of a request in bytes, at least 1
  Payload payload = Payload::ascii;
  Expect expect = Expect::unicode;
  sys::Duration warmup = std::chrono::seconds(1);   // load before the measured part, in totals only
  sys::Duration timeout = std::chrono::seconds(5);  // of a connect, of a request, of a close
  sys::Duration wait_for{0};                        // how long the first connect is tried again
};

/// The names of the command line and of the JSON; parse gives empty for any other text.
std::optional<Workload> parse_workload(std::string_view name);
std::optional<Payload> parse_payload(std::string_view name);
std::optional<Expect> parse_expect(std::string_view name);
std::string_view to_string(Workload workload);
std::string_view to_string(Payload payload);
std::string_view to_string(Expect expect);

/// Worker processes that the plan means on a machine of `processors`: as asked, or one for each
/// processor, and never more than connections. At least 1.
unsigned worker_count(const LoadPlan& plan, unsigned processors);

}  // namespace forkecho::client
