// RunResult: everything that a load run found out. Made by run_load; read by the summary, the JSON,
// the exit code, compare and the report. The names are those of the JSON of a run.
//
// What was begun within the measured part is counted to its end; the warm-up is in totals alone.
// Always: requests.scheduled = sent + shed, and sent = completed + every failed.
//
// A value type; safe everywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/anderson_darling.h"
#include "client/boxed.h"
#include "client/latency_histogram.h"
#include "client/load_plan.h"
#include "client/machine.h"
#include "client/slo.h"

namespace forkecho::client {

struct ConnectionCounts {
  struct Failed {
    std::uint64_t refused = 0;
    std::uint64_t timeout = 0;  // of the connect, or of the close after a whole reply
    std::uint64_t reset = 0;    // likewise
    std::uint64_t other = 0;
    std::uint64_t all() const { return refused + timeout + reset + other; }
  };
  std::uint64_t opened = 0;
  Failed failed;
};

struct RequestCounts {
  struct Failed {
    std::uint64_t timeout = 0;
    std::uint64_t reset = 0;
    std::uint64_t cut_short = 0;  // "short" in the JSON: end of file before the whole reply
    std::uint64_t other = 0;
    std::uint64_t all() const { return timeout + reset + cut_short + other; }
  };
  std::uint64_t scheduled = 0;
  std::uint64_t sent = 0;
  std::uint64_t completed = 0;  // a reply of the whole length came, right or wrong
  std::uint64_t shed = 0;       // scheduled and never sent; none in a closed loop
  Failed failed;
  std::uint64_t shed_by_generator = 0;  // of shed: though the server left a place for them
};

struct Totals {
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
};

struct Verification {
  std::uint64_t checked = 0;     // replies whose every byte was compared
  std::uint64_t mismatched = 0;  // of the right length, but wrong
  std::uint64_t cut_short = 0;   // "short" in the JSON: ended after some bytes, but not all
  std::uint64_t extra = 0;       // replies that were followed by bytes that nobody asked for
  std::uint64_t wrong() const { return mismatched + cut_short + extra; }
};

struct Lag {
  std::uint64_t p50_ns = 0;
  std::uint64_t p99_ns = 0;
  std::uint64_t max_ns = 0;
};

struct GeneratorVerdict {
  bool valid = true;
  bool processor_full = false;       // a worker's processor may have been the limit
  bool was_late = false;             // open loop: it did not send when it could have
  bool broke_down = false;           // it lacked something else, or lost a worker
  std::vector<std::string> reasons;  // each begins "generator: " or "server: "
  std::vector<double> cpu_percent;   // of one processor, for each worker, over the measured part
  std::optional<Lag> lag;            // empty in a closed loop, where nothing can be late
  // In percent of one processor, for each worker: its processor time, and the time that it was
  // ready to run and had to wait for a processor.
  std::vector<double> wanted_cpu_percent{};
  std::optional<double> machine_busy_percent{};  // of all processors that it may run on
  std::optional<AndersonDarling>
      poisson{};  // of what was sent; empty in a closed loop, or if short
};

/// What this client reaches against a server that does nothing, on this machine.
struct Ceiling {
  double rps = 0;
  std::string in_words{};  // of what: "crr, 16 connections by 2 workers, …"
};

/// Filled in by who started the server and can look into it; compare does.
struct ServerUsage {
  double cpu_user_s = 0;  // of the measured part and the warm-up, as are the requests in totals
  double cpu_system_s = 0;
  std::optional<double>
      cpu_us_per_request{};  // each of these is empty when it could not be measured
  std::optional<std::uint64_t> context_switches{};
  std::optional<std::uint64_t> processes{};
  std::optional<std::uint64_t> pss_bytes{};
};

/// What happened since the previous point (or the start), about one second.
struct TimelinePoint {
  double t_s = 0;  // its end, from the start of the measured part
  std::uint64_t completed = 0;
  std::uint64_t errors = 0;  // failed requests, failed connections and wrong replies
  std::uint64_t p50_ns = 0;  // from the intended start; 0 when nothing was completed
  std::uint64_t p99_ns = 0;
  std::string hdr{};  // the latencies from the intended start (hdr_encoding.h); empty if none
};

struct RunResult {
  std::string target;
  std::string address;     // what the target stood for
  LoadPlan plan;           // with the number of workers that there really were
  std::string started_at;  // of the measured part: UTC, ISO 8601, "2024-01-31T12:00:00.000Z"
  double duration_s = 0;   // of the measured part, to the end of its last request
  bool interrupted = false;
  Machine machine;

  ConnectionCounts connections;
  RequestCounts requests;
  std::optional<double> requested_rps;  // empty in a closed loop
  std::optional<double> planned_rps;    // what the schedule had: a Poisson process is never exact
  double achieved_rps = 0;

  // Of completed requests, from the intended start and from the actual send to the last byte of the
  // reply. In a closed loop a request is intended for the moment it can be sent: both are the same.
  Boxed<LatencyHistogram> from_intended;
  Boxed<LatencyHistogram> from_send;
  Boxed<LatencyHistogram> connect;     // from connect() to an established connection
  Boxed<LatencyHistogram> first_byte;  // from the send to the reply's first byte
  Boxed<LatencyHistogram> close;       // from the half-close to the server's end of file

  Totals totals;
  Verification verification;
  GeneratorVerdict generator;
  std::optional<ServerUsage> server;
  double bytes_out_per_s = 0;  // of completed requests, and of their replies, in the measured part
  double bytes_in_per_s = 0;
  std::vector<std::string> warnings{};  // what the user should know, and what was no fault yet
  std::vector<SloOutcome> slos{};
  std::optional<Ceiling> ceiling{};  // when it was asked for
  std::vector<TimelinePoint> timeline;
};

}  // namespace forkecho::client
