#include "client/tally.h"

namespace forkecho::client {
namespace {

double cpu_percent_of(const WorkerBooks& books) {
  const auto wall = static_cast<double>(books.measured_until_ns.get()) -
                    static_cast<double>(books.measured_from_ns.get());
  const auto used =
      static_cast<double>(books.cpu_until_ns.get()) - static_cast<double>(books.cpu_from_ns.get());
  return wall > 0 ? 100 * used / wall : 0;
}

}  // namespace

std::uint64_t tally(std::span<const WorkerBooks> books, Counter WorkerBooks::*counter) {
  std::uint64_t sum = 0;
  for (const WorkerBooks& worker : books) sum += (worker.*counter).get();
  return sum;
}

ConnectionCounts tally_connections(std::span<const WorkerBooks> books) {
  return {.opened = tally(books, &WorkerBooks::connections_opened),
          .failed = {.refused = tally(books, &WorkerBooks::connections_refused),
                     .timeout = tally(books, &WorkerBooks::connections_timed_out),
                     .reset = tally(books, &WorkerBooks::connections_reset),
                     .other = tally(books, &WorkerBooks::connections_other)}};
}

RequestCounts tally_requests(std::span<const WorkerBooks> books) {
  RequestCounts counts;
  counts.sent = tally(books, &WorkerBooks::requests_sent);
  counts.completed = tally(books, &WorkerBooks::requests_completed);
  counts.failed = {.timeout = tally(books, &WorkerBooks::requests_timed_out),
                   .reset = tally(books, &WorkerBooks::requests_reset),
                   .cut_short = tally(books, &WorkerBooks::requests_short),
                   .other = tally(books, &WorkerBooks::requests_other)};
  counts.failed.other += counts.sent - counts.completed - counts.failed.all();
  counts.scheduled = counts.sent + counts.shed;
  return counts;
}

Verification tally_verification(std::span<const WorkerBooks> books) {
  return {.checked = tally(books, &WorkerBooks::replies_checked),
          .mismatched = tally(books, &WorkerBooks::replies_mismatched),
          .cut_short = tally(books, &WorkerBooks::replies_short),
          .extra = tally(books, &WorkerBooks::replies_extra)};
}

Totals tally_totals(std::span<const WorkerBooks> books) {
  return {.connections = tally(books, &WorkerBooks::total_connections),
          .requests = tally(books, &WorkerBooks::total_requests),
          .bytes_out = tally(books, &WorkerBooks::total_bytes_out),
          .bytes_in = tally(books, &WorkerBooks::total_bytes_in)};
}

std::uint64_t tally_errors(std::span<const WorkerBooks> books) {
  std::uint64_t errors = tally_connections(books).failed.all();
  for (Counter WorkerBooks::*kind :
       {&WorkerBooks::requests_timed_out, &WorkerBooks::requests_reset,
        &WorkerBooks::requests_short, &WorkerBooks::requests_other,
        &WorkerBooks::replies_mismatched, &WorkerBooks::replies_extra}) {
    errors += tally(books, kind);
  }
  return errors;  // a short reply is a failed request already
}

void merge_all(std::span<const WorkerBooks> books, LatencyHistogram WorkerBooks::*histogram,
               LatencyHistogram& into) {
  for (const WorkerBooks& worker : books) into.merge(worker.*histogram);
}

std::vector<double> cpu_percent(std::span<const WorkerBooks> books) {
  std::vector<double> percents;
  for (const WorkerBooks& worker : books) percents.push_back(cpu_percent_of(worker));
  return percents;
}

}  // namespace forkecho::client
