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
#include <vector>

#include "client/processor_pins.h"
#include "client/size_distribution.h"
#include "client/start_moment.h"
#include "common/sys/deadline.h"

namespace forkecho::client {

enum class Workload {
  rr,      // request, whole reply, next request, on connections that are held
  crr,     // connect, one request, its whole reply, half-close, end of file, close
  stream,  // one request after the other, as many as the sockets hold; the replies come meanwhile
};

/// When the requests of an open loop are due.
enum class Arrivals {
  constant,  // at equal distances
  poisson,   // as many independent users would send them
};

/// How the client ends a connection.
enum class Close {
  fin,  // half-close, then wait for the server's end of file
  rst,  // reset
};

enum class Payload {
  ascii,    // letters, digits and spaces
  unicode,  // text of many scripts whose uppercase Python has told us (unicode_pairs.h)
  random,   // any bytes; only a server that sends back what it got has a right reply to them
};

/// What the server does to the text, so what a right reply is.
enum class Expect {
  unicode,  // Python's str.upper()
  ascii,    // a-z to A-Z, nothing else
  none,     // the reply is the request (RFC 862)
};

struct LoadPlan {
  std::string target;                       // HOST:PORT, [V6]:PORT or unix:PATH
  std::vector<std::string> more_targets{};  // the connections take turns over all of them
  unsigned connections = 10;                // held at once over all workers, at least 1
  unsigned workers = 0;                     // load processes; 0 = as many as processors
  sys::Duration duration =
      std::chrono::seconds(10);  // of the measured part; unread if requests > 0
  std::uint64_t requests = 0;    // measured requests; 0 = by duration
  double rate = 0;               // open loop: requests per second over all connections; 0 = closed
  Arrivals arrivals = Arrivals::constant;
  Workload workload = Workload::rr;
  std::uint64_t requests_per_connection = 0;  // 0 = as the workload has it
  unsigned depth = 1;     // requests in flight on a connection; stream has its own
  SizeDistribution size;  // of a request in bytes
  Payload payload = Payload::ascii;
  Expect expect = Expect::unicode;
  sys::Duration warmup = std::chrono::seconds(1);   // load before the measured part, in totals only
  sys::Duration timeout = std::chrono::seconds(5);  // of a connect, of a request, of a close
  sys::Duration wait_for{0};                        // how long the first connect is tried again
  sys::Duration think{0};  // on a connection, from a reply to the next request
  sys::Duration ramp{0};   // from the run's start: the rate rises, or in a closed loop the
                           // connections begin one by one
  Close close = Close::fin;
  std::string
      source{};  // local addresses to connect from, ADDRESS/BITS; empty = see SourceAddresses
  ProcessorPins pins{};
  std::optional<WallTime> start_at{};  // of the warm-up; without it, at once
  bool every_address =
      false;  // the connections take turns over all that a target's name stands for
  bool goes_on_unanswered = false;  // when nothing answers at first, the run is made all the same,
                                    // and counts what fails; compare's for servers of others
};

inline bool is_open_loop(const LoadPlan& plan) {
  return plan.rate > 0;
}
/// Requests after which a connection is closed and another one made; 0 = none.
std::uint64_t requests_on_each(const LoadPlan& plan);
/// Requests that may be in flight on one connection.
std::size_t places_on_each(const LoadPlan& plan);

/// The names of the command line and of the JSON; parse gives empty for any other text.
std::optional<Workload> parse_workload(std::string_view name);
std::optional<Payload> parse_payload(std::string_view name);
std::optional<Expect> parse_expect(std::string_view name);
std::optional<Arrivals> parse_arrivals(std::string_view name);
std::optional<Close> parse_close(std::string_view name);
std::string_view to_string(Workload workload);
std::string_view to_string(Payload payload);
std::string_view to_string(Expect expect);
std::string_view to_string(Arrivals arrivals);
std::string_view to_string(Close close);

/// What is wrong with options that do not go together, with the remedy; empty when nothing is.
std::string find_contradiction(const LoadPlan& plan);

/// Has the connections of `plan` take turns over `targets`, of which there is one at least.
void set_targets(LoadPlan& plan, const std::vector<std::string>& targets);

/// Worker processes that the plan means on a machine of `processors`: as asked, or one for each
/// processor that they may run on, and never more than connections. At least 1.
unsigned worker_count(const LoadPlan& plan, unsigned processors);

}  // namespace forkecho::client
