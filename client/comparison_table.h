// The comparison as text for a terminal: the machine and the settings, one line for each design,
// and what it means in plain words. Pure; the text ends with a line's end.
#pragma once

#include <string>

#include "client/comparison.h"

namespace forkecho::client {

std::string comparison_table(const Comparison& comparison);

}  // namespace forkecho::client
