// From the books of the workers to the counts of a RunResult. Pure functions over books that may
// still be written to; the sums are exact once the workers have ended.
#pragma once

#include <span>

#include "client/run_result.h"
#include "client/worker_books.h"

namespace forkecho::client {

ConnectionCounts tally_connections(std::span<const WorkerBooks> books);

/// What a killed worker had sent and never accounted for is added to failed.other, so that sent =
/// completed + failed whatever happened. To be called when all have ended.
RequestCounts tally_requests(std::span<const WorkerBooks> books);

Verification tally_verification(std::span<const WorkerBooks> books);
Totals tally_totals(std::span<const WorkerBooks> books);

/// Failed requests, failed connections and wrong replies so far.
std::uint64_t tally_errors(std::span<const WorkerBooks> books);
std::uint64_t tally(std::span<const WorkerBooks> books, Counter WorkerBooks::*counter);

/// Adds the workers' histograms to `into`.
void merge_all(std::span<const WorkerBooks> books, LatencyHistogram WorkerBooks::*histogram,
               LatencyHistogram& into);

/// Of each worker's measured part, in percent of one processor; 0 for one that never came to it.
std::vector<double> cpu_percent(std::span<const WorkerBooks> books);

}  // namespace forkecho::client
