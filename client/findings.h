// What a comparison says in plain words: what a connection costs in each design, and what a process
// for each connection costs against the others on this machine. It stands under the table and at
// the head of the page.
//
// Pure. Where the interval of a ratio holds 1, it says that there is no difference; where there
// were too few rounds for an interval, it says that.
#pragma once

#include <string>
#include <vector>

#include "client/comparison.h"

namespace forkecho::client {

/// One to three sentences; empty when nothing was measured.
std::vector<std::string> findings(const Comparison& comparison);

/// What a reader must know before believing the figures: designs whose load was the generator's
/// limit, rounds that are missing, wrong replies. One line each; empty when there is nothing.
std::vector<std::string> notes(const Comparison& comparison);

/// "connections" where each request has a connection of its own, else "requests".
std::string unit_of_load(const LoadPlan& plan);

/// Two processes on one machine share its processors: this stands in every report.
inline constexpr const char* pair_capacity =
    "On one machine the figure is the pair's capacity, not the server's.";

}  // namespace forkecho::client
