// The metrics: what the supervisor publishes for the exporter, and the text that a scraper gets of
// it (Prometheus's text format 0.0.4). Pure functions.
//
// The exporter reads this one page and nothing else. All figures of a page are of one moment, and
// what is a total only grows, over reloads and deaths of workers, because the supervisor sums it
// (ProcessTree::totals).
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "server/book.h"
#include "server/life_cycle.h"
#include "server/options.h"
#include "server/process_tree.h"
#include "server/status.h"

namespace forkecho::server {

/// One of the daemon's listeners.
struct ListenerMetrics {
  std::array<char, 128> name{};  // zero-terminated; longer than any address
  bool has_queue = false;        // the kernel tells
  AcceptQueue queue;
};

/// One of the acceptors, by its place among them.
struct AcceptorMetrics {
  std::uint64_t number = 1;
  std::uint64_t accepted = 0;
  std::uint64_t active = 0;
};

/// Plain data, to lie in shared memory.
struct Metrics {
  bool valid = false;  // something was published
  State state = State::starting;
  Mode mode = Mode::fork;
  double started_at = 0;          // seconds since 1970
  std::int64_t published_ns = 0;  // on the monotonic clock
  BookTotals books;
  ChildCounts children;
  std::uint64_t generation = 0;
  std::uint64_t generations_draining = 0;
  std::uint64_t log_lost = 0;
  std::uint64_t access_log_lost = 0;
  std::uint64_t exporters_started = 0;
  std::size_t acceptor_count = 0;
  std::array<AcceptorMetrics, max_acceptors> acceptors{};
  std::size_t listener_count = 0;
  std::array<ListenerMetrics, max_listeners> listeners{};
};

/// `status` without its slots; now and the start are the supervisor's to add.
Metrics to_metrics(const Status& status);

/// Of figures that are `age_s` old.
std::string to_text(const Metrics& metrics, double age_s);

/// True while the daemon takes in clients, by figures that are not too old (5 s).
bool is_healthy(const Metrics& metrics, double age_s);

}  // namespace forkecho::server
