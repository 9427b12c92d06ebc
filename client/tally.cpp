#include "client/tally.h"

namespace forkecho::client {
namespace {

double difference(const Counter& until, const Counter& from) {
  return static_cast<double>(until.get()) - static_cast<double>(from.get());
}

double percent_of_time(double used, const WorkerBooks& books) {
  const double wall = difference(books.measured_until_ns, books.measured_from_ns);
  return wall > 0 ? 100 * used / wall : 0;
}

double cpu_percent_of(const WorkerBooks& books) {
  return percent_of_time(difference(books.cpu_until_ns, books.cpu_from_ns), books);
}

double run_wait_percent_of(const WorkerBooks& books) {
  return percent_of_time(difference(books.run_wait_until_ns, books.run_wait_from_ns), books);
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

RequestCounts tally_requests(std::span<const WorkerBooks> books,
                             std::span<const std::uint64_t> planned) {
  RequestCounts counts;
  counts.sent = tally(books, &WorkerBooks::requests_sent);
  counts.completed = tally(books, &WorkerBooks::requests_completed);
  counts.failed = {.timeout = tally(books, &WorkerBooks::requests_timed_out),
                   .reset = tally(books, &WorkerBooks::requests_reset),
                   .cut_short = tally(books, &WorkerBooks::requests_short),
                   .other = tally(books, &WorkerBooks::requests_other)};
  counts.failed.other += counts.sent - counts.completed - counts.failed.all();
  counts.shed_by_generator = tally(books, &WorkerBooks::shed_by_generator);
  for (std::size_t i = 0; i < planned.size(); ++i) {
    const WorkerBooks& worker = books[i];
    const std::uint64_t told =
        worker.requests_sent.get() + worker.shed_by_server.get() + worker.shed_by_generator.get();
    if (worker.ended.get() == 0 && planned[i] > told) counts.shed_by_generator += planned[i] - told;
  }
  counts.shed = tally(books, &WorkerBooks::shed_by_server) + counts.shed_by_generator;
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

std::vector<double> wanted_cpu_percent(std::span<const WorkerBooks> books) {
  std::vector<double> percents;
  for (const WorkerBooks& worker : books)
    percents.push_back(cpu_percent_of(worker) + run_wait_percent_of(worker));
  return percents;
}

std::optional<double> machine_busy_percent(std::span<const WorkerBooks> books) {
  double busy = 0;
  double all = 0;
  for (const WorkerBooks& worker : books) {
    const double of_worker = difference(worker.machine_all_until, worker.machine_all_from);
    if (of_worker <= all) continue;
    all = of_worker;
    busy = difference(worker.machine_busy_until, worker.machine_busy_from);
  }
  return all > 0 ? std::optional(100 * busy / all) : std::nullopt;
}

}  // namespace forkecho::client
