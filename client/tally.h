// From the books of the workers to the counts of a RunResult. Pure functions over books that may
// still be written to; the sums are exact once the workers have ended.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "client/run_result.h"
#include "client/worker_books.h"

namespace forkecho::client {

ConnectionCounts tally_connections(std::span<const WorkerBooks> books);

/// What a killed worker had sent and never accounted for is added to failed.other, so that sent =
/// completed + failed whatever happened; what it had not sent of its share of the plan, `planned`
/// for each worker (empty in a closed loop), is shed by the generator. To be called when all have
/// ended.
RequestCounts tally_requests(std::span<const WorkerBooks> books,
                             std::span<const std::uint64_t> planned = {});

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
/// The same, with the time that it waited for a processor.
std::vector<double> wanted_cpu_percent(std::span<const WorkerBooks> books);
/// How busy the machine was over the longest measured part that a worker had to its end.
std::optional<double> machine_busy_percent(std::span<const WorkerBooks> books);

}  // namespace forkecho::client
