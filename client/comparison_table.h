// The comparison as text for a terminal: the machine and the settings, what each design did and
// what it cost the server, and what that means in plain words. Pure; the text ends with a line's
// end.
//
// "control" is Stevens' process control (comparison.h); "/connection" the memory that a held
// connection adds; "switches" the context switches of the whole machine, so of the generator too,
// for each request; "fairness" Jain's index over the workers (statistics.h).
#pragma once

#include <string>

#include "client/comparison.h"

namespace forkecho::client {

std::string comparison_table(const Comparison& comparison);

}  // namespace forkecho::client
