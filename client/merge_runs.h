// Several slices of one load, told as one run. Used by compare, whose rounds are such slices.
//
// Pure.
#pragma once

#include "client/run_result.h"

namespace forkecho::client {

/// Adds `slice` to `sum`, a run against the same target with the same plan. Counts and histograms
/// add up; the rate is that of all completed requests over all measured time; the timeline goes on
/// where it ended; a processor's percentage is the mean by time; of the lag, whose distribution is
/// gone, the worst slice stands for all; the sum is VALID if every slice was. `server` stays as in
/// `sum`. An empty RunResult takes everything from `slice`.
void add_slice(RunResult& sum, const RunResult& slice);

}  // namespace forkecho::client
